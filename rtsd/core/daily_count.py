"""Counts over the last 24 hours, kept by the minute: neither memory nor time grows with what is counted."""

from __future__ import annotations

from rtsd.core.instant import DAY_MS, Millis

MINUTE_MS: Millis = 60_000
MOST_MINUTES = 1_500
"""Minutes that are kept: a day, and some for a clock that was set back."""


class DailyCount:
    """How often something happened in the last 24 hours, exact to a minute at their begin."""

    def __init__(self) -> None:
        self._minutes: dict[int, int] = {}

    def add(self, at: Millis, count: int = 1) -> None:
        """Count something that happened at a moment; a negative count takes it back."""
        minute = at // MINUTE_MS
        self._minutes[minute] = self._minutes.get(minute, 0) + count
        if len(self._minutes) > MOST_MINUTES:
            del self._minutes[min(self._minutes)]

    def merge(self, other: DailyCount) -> None:
        """Add everything that another one counted."""
        for minute, count in other._minutes.items():
            self.add(minute * MINUTE_MS, count)

    def last_day(self, now: Millis) -> int:
        """Return the count of the 24 hours before `now`."""
        begin = (now - DAY_MS) // MINUTE_MS
        return sum(count for minute, count in self._minutes.items() if minute >= begin)
