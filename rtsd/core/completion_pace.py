"""When partial rows are read: soon after a single change, rarely while changes go on."""

from __future__ import annotations

from rtsd.core.backoff import pause_ms
from rtsd.core.instant import DAY_MS, Millis

FIRST_PAUSE: Millis = 2_000
"""The pause after a read, doubled by each that follows, up to the interval of Interval Sync."""


class CompletionPace:
    """The pace of one object, in local time (ms).

    While its records keep changing, it is read once per interval, as Interval Sync would. Once no row has
    been partial for an interval, the next is read at once again.
    """

    def __init__(self) -> None:
        self._reads = 0
        """Reads without an interval between them."""
        self._read_at: Millis | None = None

    def is_due(self, now: Millis, interval: Millis) -> bool:
        """Return whether the rows that are partial now are to be read."""
        if self._read_at is None or not 0 <= now - self._read_at < interval:
            self._reads = 0
            return True
        return now - self._read_at >= pause_ms(self._reads, FIRST_PAUSE, interval)

    def read(self, now: Millis) -> None:
        """Record a read."""
        self._reads, self._read_at = self._reads + 1, now


def reads_a_day(interval: Millis) -> float:
    """Return the reads of an object a day while its records keep changing, besides one per 2,000 rows."""
    return DAY_MS / interval
