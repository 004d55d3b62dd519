"""Pushes that have just been stored in the inbox, still parsed: most are applied before they leave memory."""

from __future__ import annotations

from collections.abc import Sequence

from rtsd.store.pushes import MOST_BYTES, MOST_PUSHES, Entry

MOST_KEPT = 8 << 20
"""Bytes of the bodies; parsed, they take about three times as much."""


class RecentPushes:
    """The latest pushes by number, as many as fit; the others are read from the file."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._bytes = 0

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep committed pushes."""
        for entry in entries:
            size = len(entry.push.body)
            if self._bytes + size <= MOST_KEPT:
                self._entries[entry.seq] = entry
                self._bytes += size

    def after(self, seq: int) -> list[Entry]:
        """Return the pushes that follow `seq` without a gap, as many as one transaction applies."""
        found: list[Entry] = []
        total = 0
        while (entry := self._entries.get(seq + 1 + len(found))) is not None:
            total += len(entry.push.body)
            if found and (total > MOST_BYTES or len(found) == MOST_PUSHES):
                break
            found.append(entry)
        return found

    def forget(self, seq: int) -> None:
        """Drop the pushes up to a number."""
        while self._entries and (first := next(iter(self._entries))) <= seq:
            self._bytes -= len(self._entries.pop(first).push.body)
