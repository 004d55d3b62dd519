"""Counts of the last 24 hours: exact to a minute, and bounded."""

from __future__ import annotations

from rtsd.core.daily_count import MAX_MINUTES, DailyCount
from rtsd.core.instant import DAY_MS, MINUTE_MS

NOW = 1_772_359_200_000


def test_the_last_day_counts() -> None:
    """What is older than a day is out, within a minute; what is taken back is out at once."""
    count = DailyCount()
    for at in (NOW, NOW - DAY_MS + MINUTE_MS, NOW - DAY_MS - 2 * MINUTE_MS):
        count.add(at, 3)
    assert count.last_day(NOW) == 6
    assert count.last_day(NOW + 2 * MINUTE_MS) == 3
    count.add(NOW, -1)
    assert count.last_day(NOW) == 5
    assert count.last_day(NOW + DAY_MS + 2 * MINUTE_MS) == 0


def test_memory_is_bounded() -> None:
    """Years of counting keep a day of minutes, the newest ones."""
    count = DailyCount()
    for minute in range(MAX_MINUTES * 3):
        count.add(NOW + minute * MINUTE_MS)
    end = NOW + MAX_MINUTES * 3 * MINUTE_MS
    assert count.minutes == MAX_MINUTES
    assert count.last_day(end) == DAY_MS // MINUTE_MS


def test_counts_merge() -> None:
    """The changes of a transaction are added to the totals."""
    total, change = DailyCount(), DailyCount()
    total.add(NOW, 2)
    change.add(NOW, 3)
    change.add(NOW - MINUTE_MS, -1)
    total.merge(change)
    assert total.last_day(NOW) == 4
