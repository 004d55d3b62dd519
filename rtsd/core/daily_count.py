"""Counts over the last 24 hours, by minute, in constant memory and time."""

from __future__ import annotations

from rtsd.core.instant import DAY_MS, MINUTE_MS, Millis

MAX_MINUTES = 1_500
"""Minutes kept: a day, and some more in case the clock is set back."""


class DailyCount:
    """The number of events in the last 24 hours, whose start is accurate to a minute."""

    def __init__(self) -> None:
        self._minutes: dict[int, int] = {}

    @property
    def minutes(self) -> int:
        """How many minutes are kept."""
        return len(self._minutes)

    def add(self, at: Millis, count: int = 1) -> None:
        """Add events at a time (ms); a negative count removes them."""
        minute = at // MINUTE_MS
        self._minutes[minute] = self._minutes.get(minute, 0) + count
        if len(self._minutes) > MAX_MINUTES:
            del self._minutes[min(self._minutes)]

    def merge(self, other: DailyCount) -> None:
        """Add the events of another count."""
        for minute, count in other._minutes.items():
            self.add(minute * MINUTE_MS, count)

    def last_day(self, now: Millis) -> int:
        """Return the count of the 24 hours before `now`."""
        begin = (now - DAY_MS) // MINUTE_MS
        return sum(count for minute, count in self._minutes.items() if minute >= begin)
