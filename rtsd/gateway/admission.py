"""The limit on pushes that are being answered, and the refusal of further ones before they are parsed.

To parse and verify a push costs about as much as to take it: an overloaded gateway that refuses only
afterwards spends its time on refusals, and takes less the more is sent. So a push is refused by its first
bytes alone. The limit is the number of pushes that rtsd answers in `TARGET_S`, measured while it is busy:
who is admitted is answered that soon, however many wait outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from rtsd.store.inbox import MAX_WAITING

TARGET_S = 0.2
WINDOW_S = 0.5
"""The time over which answers are counted: one commit answers up to 256 pushes at once."""
LEAST, INITIAL = 64, 400
RETRY_AFTER_S = 2

_HEAD = re.compile(
    rb"POST [^\r\n]+ HTTP/1\.1\r\n(?:[^\r\n]+\r\n)*?content-length: *(\d{1,9})\r\n", re.IGNORECASE
)


@dataclass
class Window:
    """A time over which answers are counted: the gateway's rate if the limit was reached meanwhile."""

    begun: float
    answered: int = 0
    was_full: bool = False


class Admission:
    """Counts the pushes inside: arrived completely, and not yet answered."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """Read the time from a steady clock."""
        self._seconds = seconds
        self.inside = 0
        self.limit = INITIAL
        self._window: Window | None = None

    @property
    def full(self) -> bool:
        """Whether the next push would wait too long."""
        return self.inside >= self.limit

    def enter(self) -> None:
        """Count a push."""
        self.inside += 1
        if self.full:
            self._window = self._window or Window(self._seconds())
            self._window.was_full = True

    def leave(self) -> None:
        """Count its answer, and adapt the limit to the rate of answers while it is reached."""
        self.inside -= 1
        if not self.inside:
            self.limit, self._window = INITIAL, None  # the next burst may be another matter
        elif self._window is not None:
            self._window.answered += 1
            if (elapsed := self._seconds() - self._window.begun) >= WINDOW_S:
                self._adapt(self._window, elapsed)

    def _adapt(self, window: Window, elapsed: float) -> None:
        measured = int(window.answered / elapsed * TARGET_S)
        if window.was_full:
            self.limit = min(max((self.limit + measured) // 2, LEAST), MAX_WAITING)
        self._window = Window(self._seconds()) if window.was_full else None


def is_whole(data: bytes) -> bool:
    """Whether `data` is one complete POST request, as those are that arrive in one piece."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = _HEAD.match(head + b"\r\n")
    return length is not None and int(length[1]) == len(body)


def _refusal() -> bytes:
    body = msgspec.json.encode({"error": "CannotCommit", "message": "too many pushes at once"})
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nServer: rtsd\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: {RETRY_AFTER_S}\r\n\r\n"
    )
    return head.encode() + body


REFUSAL = _refusal()
"""The whole response."""
