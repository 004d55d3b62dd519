"""What the dashboard answers to a key or an order, for some seconds, in a line of its own.

Textual's toasts float above the text of the last rows: the one that an operator reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

SHOWN_S = 4.0
"""Seconds for which an answer stays."""
MOST = 3
"""Answers at a time; the oldest goes first."""


class Reply(NamedTuple):
    """An answer, its role, and until when it is shown (monotonic seconds)."""

    text: str
    role: str
    until: float


class Replies:
    """The answers that are shown now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._clock = clock
        self._all: list[Reply] = []

    def add(self, text: str, role: str, seconds: float | None) -> None:
        """Show an answer for so many seconds."""
        until = self._clock() + (seconds or SHOWN_S)
        self._all = [reply for reply in self.shown() if reply.text != text][1 - MOST :]
        self._all.append(Reply(text, role, until))

    def shown(self) -> list[Reply]:
        """Return them, the oldest first."""
        now = self._clock()
        self._all = [reply for reply in self._all if reply.until > now]
        return self._all
