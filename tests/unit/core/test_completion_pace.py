"""The pace of reads that complete partial rows: quick after few changes, and bounded in calls."""

from __future__ import annotations

from itertools import pairwise

from rtsd.core.completion_pace import MOST_SAVED, PAUSE, CompletionPace, reads_a_day
from rtsd.core.instant import DAY_MS, MINUTE_MS

INTERVAL = 5 * MINUTE_MS


def reads(pace: CompletionPace, start: int, until: int, every: int) -> list[int]:
    """The times of reads, while something is partial at every moment."""
    found = []
    for now in range(start, until, every):
        if pace.is_due(now, INTERVAL):
            pace.read(now)
            found.append(now)
    return found


def test_few_changes_are_completed_soon() -> None:
    """Within the pause, again and again."""
    assert reads(CompletionPace(), 0, 60_000, 500) == list(range(0, 60_000, PAUSE))


def test_a_day_of_changes_costs_what_is_promised() -> None:
    """As many reads as `rtsd check` says, then one per interval."""
    found = reads(CompletionPace(), 0, DAY_MS, 5_000)
    assert len(found) <= reads_a_day(INTERVAL) == 288 + MOST_SAVED
    gaps = {later - earlier for earlier, later in pairwise(found[100:])}
    assert gaps == {INTERVAL}


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    """The next read is due, and nothing is earned by it."""
    pace = CompletionPace()
    reads(pace, DAY_MS, DAY_MS + 10, 5)
    assert pace.is_due(0, INTERVAL)
