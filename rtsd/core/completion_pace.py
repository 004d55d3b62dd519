"""When partial rows are read: soon, within a budget of calls that refills slowly."""

from __future__ import annotations

from rtsd.core.instant import DAY_MS, Millis

PAUSE: Millis = 2_000
"""The least time between two reads, which collects rows."""
MOST_SAVED = 60
"""Reads that a quiet time saves up: about five minutes of changes are completed as they come."""


class CompletionPace:
    """The pace of one object, in local time (ms).

    Every interval of Interval Sync earns one read: as long as its records keep changing, an object is read as
    often as Interval Sync would, and soon after its changes if they are few.
    """

    def __init__(self) -> None:
        self._saved = float(MOST_SAVED)
        self._counted_at: Millis | None = None
        self._read_at: Millis | None = None

    def is_due(self, now: Millis, interval: Millis) -> bool:
        """Return whether the rows that are partial now are to be read."""
        if self._counted_at is not None:
            self._saved = min(self._saved + max(now - self._counted_at, 0) / interval, MOST_SAVED)
        self._counted_at = now
        return self._saved >= 1 and (self._read_at is None or abs(now - self._read_at) >= PAUSE)

    def read(self, now: Millis) -> None:
        """Record a read."""
        self._saved, self._read_at = max(self._saved - 1, 0), now


def reads_a_day(interval: Millis) -> float:
    """Return the reads of an object a day while its records keep changing, besides one per 2,000 rows."""
    return DAY_MS / interval + MOST_SAVED
