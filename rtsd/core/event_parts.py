"""Documents that come as parts of several events, put together again (contract section 8, stream).

Parts are held in memory only. So that a restart loses none, the position to resume from stays before the
first part of the oldest incomplete document: what comes again is known by its id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from rtsd.core.instant import MINUTE_MS, Millis
from rtsd.core.position import Position
from rtsd.core.signature import SignatureHeaders
from rtsd.errors import MalformedPush

PATIENCE: Millis = 10 * MINUTE_MS
"""How long the parts of a document wait for the others."""
MOST_PARTS = 128
"""Parts of the largest document: 12 MiB in base64, 131,072 characters each."""
MOST_HELD = 64 * 1024 * 1024
"""Characters held at once; beyond that the oldest document is given up."""

REMEMBERED = 10_000
"""Completed documents whose parts are recognized when they come again."""


class Part(NamedTuple):
    """A part of a document: its number from 1, how many there are, and its text (base64)."""

    signed: SignatureHeaders
    number: int
    total: int
    sealed: bool
    text: str


class Document(NamedTuple):
    """A complete document, as base64 text."""

    signed: SignatureHeaders
    sealed: bool
    text: str


_Key = tuple[SignatureHeaders, int, bool]


@dataclass(slots=True)
class _Incomplete:
    before: Position
    """Where to resume from in order to get all of its parts again."""
    since: Millis
    texts: dict[int, str] = field(default_factory=dict)


class PartAssembly:
    """Collects parts, in whatever order they come."""

    def __init__(self) -> None:
        self._incomplete: dict[_Key, _Incomplete] = {}
        """Oldest first."""
        self._held = 0
        self._given_up: list[str] = []
        self._completed: dict[_Key, None] = {}

    def add(self, part: Part, before: Position, now: Millis) -> Document | None:
        """Add a part; return the document that it completes.

        `before` is the position before the part's event, `now` the local time (ms). Raises MalformedPush for
        a number that cannot be.
        """
        if not 1 <= part.number <= part.total <= MOST_PARTS:
            raise MalformedPush(f"part {part.number} of {part.total} of an event cannot be")
        if part.total == 1:
            return Document(part.signed, part.sealed, part.text)
        key = (part.signed, part.total, part.sealed)
        if key in self._completed:
            return None
        waiting = self._incomplete.setdefault(key, _Incomplete(before, now))
        if part.number not in waiting.texts:
            waiting.texts[part.number] = part.text
            self._held += len(part.text)
        if len(waiting.texts) == part.total:
            self._remove(key)
            self._remember(key)
            whole = "".join(waiting.texts[number + 1] for number in range(part.total))
            return Document(part.signed, part.sealed, whole)
        self._make_room()
        return None

    def expire(self, now: Millis) -> list[str]:
        """Give up documents whose parts have waited too long; return the ids given up, for any reason.

        What they would have said has to be read from the org, unless the inbox knows the id: after a restart
        the last parts of a document may come again alone.
        """
        for key, waiting in list(self._incomplete.items()):
            if now - waiting.since >= PATIENCE:
                self._give_up(key)
        given_up, self._given_up = self._given_up, []
        return given_up

    def clear(self) -> None:
        """Forget all parts, as the stream is read again: completed documents may not have been stored."""
        self._incomplete.clear()
        self._completed.clear()
        self._held = 0

    def resume_from(self, latest: Position) -> Position:
        """Return the position to store when `latest` is the last that was read."""
        return next((waiting.before for waiting in self._incomplete.values()), latest)

    @property
    def incomplete(self) -> int:
        """Documents that wait for parts."""
        return len(self._incomplete)

    def _make_room(self) -> None:
        while self._held > MOST_HELD:
            self._give_up(next(iter(self._incomplete)))

    def _give_up(self, key: _Key) -> None:
        self._remove(key)
        self._given_up.append(key[0].webhook_id)

    def _remember(self, key: _Key) -> None:
        """Know the copies of a completed document's parts, which would never be complete again."""
        self._completed[key] = None
        if len(self._completed) > REMEMBERED:
            del self._completed[next(iter(self._completed))]

    def _remove(self, key: _Key) -> None:
        self._held -= sum(map(len, self._incomplete.pop(key).texts.values()))
