"""Values that records once had, kept from one page to the next.

A record that changed often since is traced back over all of its later changes, which would be done again for
every page of a backlog. What is passed on the way is kept at some places, so that a later page begins near to
where it ends. The way from one place to the next is divided in the same manner once it is gone, so that few
places are enough for any backlog.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import NamedTuple

from rtsd.core.trace import Values

Record = tuple[str, str]
"""An object's name, and an id."""

MOST = 10_000
"""Checkpoints at a time, of a few kB each; beyond that the same changes are undone more often."""
WORTH = 100
"""Undone changes of a record that a checkpoint saves."""
PARTS = 256
"""Places on the way back of one record; of many they share them, but there are two at least."""
SHORTEST = 200
"""Entries of the journal between two places."""
LONGEST = 5_000
"""Entries of the journal among which later changes are looked up at once, which bounds memory."""


class Checkpoint(NamedTuple):
    """A record right after an entry of the journal."""

    seq: int
    values: Values | None


class Span(NamedTuple):
    """A part of the journal, after `first` up to `last`; at its beginning there may be a place to keep."""

    first: int
    last: int
    is_kept: bool


class Checkpoints:
    """The checkpoints of a reader that goes forward through the journal."""

    def __init__(self) -> None:
        self._known: dict[Record, list[Checkpoint]] = {}
        """By record, the newest entry first."""
        self._count = 0

    def pass_by(self, seq: int) -> None:
        """Forget those before entry `seq`."""
        for record, known in list(self._known.items()):
            while known and known[-1].seq < seq:
                known.pop()
                self._count -= 1
            if not known:
                del self._known[record]

    def nearest(self, record: Record) -> Checkpoint | None:
        """Return the first checkpoint of a record that is left."""
        known = self._known.get(record)
        return known[-1] if known else None

    def add(self, record: Record, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint before all others of its record, if there is room."""
        if self._count < MOST:
            self._known.setdefault(record, []).append(checkpoint)
            self._count += 1

    def forget(self, object_name: str) -> None:
        """Forget an object's: its columns are others now."""
        for record in [record for record in self._known if record[0] == object_name]:
            self._count -= len(self._known.pop(record))


def spans(begins: Collection[int], seq: int) -> Iterator[Span]:
    """Yield the way back to entry `seq`, from where each of some records begins, newest part first.

    Within a span there are the same records.
    """
    top = max(begins, default=seq)
    part = max(SHORTEST, (top - seq) // max(PARTS // max(len(begins), 1), 2))
    edges = {begin for begin in begins if begin > seq}
    for upto, lower in pairwise([*sorted(edges, reverse=True), seq]):
        for last in range(upto, lower, -min(part, LONGEST)):
            first = max(lower, last - min(part, LONGEST))
            yield Span(first, last, (top - first) // part > (top - last) // part)
