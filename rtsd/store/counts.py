"""Counts for the status, kept in memory because counting in SQL would read tables every second.

A transaction records its changes in `Tx.counts`; the database adds them after the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from rtsd.core.daily_count import MAX_MINUTES, DailyCount
from rtsd.core.instant import MINUTE_MS, Millis, from_iso

Fetch = Callable[[str], Awaitable[list[tuple[Any, ...]]]]
"""Runs a query."""


@dataclass(slots=True)
class Counts:
    """The counts of a database, or the changes that a transaction makes to them."""

    held: int = 0
    """Pushes, or parts of them, that were taken out of the inbox and wait in the mirror."""
    dead_letters: int = 0
    errors: DailyCount = field(default_factory=DailyCount)
    """Logged errors; repetitions count at the time of the last one."""
    calls: dict[tuple[str, str], DailyCount] = field(default_factory=dict)
    """Ledger entries by purpose and limit."""

    def add(self, changes: Counts) -> None:
        """Add the changes of a transaction."""
        self.held += changes.held
        self.dead_letters += changes.dead_letters
        self.errors.merge(changes.errors)
        for key, count in changes.calls.items():
            self.calls.setdefault(key, DailyCount()).merge(count)

    def called(self, at: Millis, purpose: str, resource: str, calls: int) -> None:
        """Count a ledger entry."""
        self.calls.setdefault((purpose, resource), DailyCount()).add(at, calls)

    def calls_by_resource(self, now: Millis) -> dict[str, int]:
        """Return the calls of the last 24 hours by limit."""
        return self._calls(now, lambda _, resource: resource)

    def calls_by_purpose(self, resource: str, now: Millis) -> dict[str, int]:
        """Return the calls of the last 24 hours that drew on a limit, by purpose."""
        return self._calls(now, lambda purpose, drawn: purpose if drawn == resource else None)

    def _calls(self, now: Millis, group: Callable[[str, str], str | None]) -> dict[str, int]:
        found: dict[str, int] = {}
        for (purpose, resource), count in self.calls.items():
            name, number = group(purpose, resource), count.last_day(now)
            if name is not None and number:
                found[name] = found.get(name, 0) + number
        return found


async def restore(fetch: Fetch) -> Counts:
    """Count the stored data, once at the start."""
    counts = Counts()
    ((counts.held,),) = await fetch("SELECT COUNT(*) FROM _rts_held")
    ((counts.dead_letters,),) = await fetch("SELECT COUNT(*) FROM _rts_dead_letter")
    for minute, number in await fetch(
        "SELECT substr(MIN(at), 1, 16), SUM(count) FROM _rts_error GROUP BY substr(at, 1, 16) ORDER BY 1 DESC"
        f" LIMIT {MAX_MINUTES}"
    ):
        counts.errors.add(from_iso(f"{minute}Z"), number)
    for minute, purpose, resource, number in await fetch(
        f"SELECT at / {MINUTE_MS} AS minute, purpose, resource, SUM(calls) FROM _rts_ledger"
        f" WHERE at / {MINUTE_MS} > (SELECT MAX(at) / {MINUTE_MS} - {MAX_MINUTES} FROM _rts_ledger)"
        " GROUP BY minute, purpose, resource"
    ):
        counts.called(minute * MINUTE_MS, purpose, resource, number)
    return counts
