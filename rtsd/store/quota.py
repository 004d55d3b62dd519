"""The ledger of API calls, and the org's limits as last read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtsd.core.instant import Millis
from rtsd.store.database import Database, Tx


@dataclass(frozen=True, slots=True)
class LimitRecord:
    """One of the org's daily allocations, as last read."""

    name: str
    max: int
    remaining: int
    read_at: Millis


async def spend(tx: Tx, at: Millis, purpose: str, resource: str, calls: int) -> None:
    """Write calls into the ledger, before they are sent."""
    await tx.execute(
        "INSERT INTO _rts_ledger (at, purpose, resource, calls) VALUES (?, ?, ?, ?)",
        (at, purpose, resource, calls),
    )


async def spent_by_purpose(database: Database, since: Millis) -> dict[str, int]:
    """API calls since then, by purpose."""
    rows = await database.fetch(
        "SELECT purpose, SUM(calls) FROM _rts_ledger WHERE at >= ? AND resource='DailyApiRequests'"
        " GROUP BY purpose",
        (since,),
    )
    return dict(rows)


async def spent_by_resource(database: Database, since: Millis) -> dict[str, int]:
    """What was drawn since then on each limit."""
    rows = await database.fetch(
        "SELECT resource, SUM(calls) FROM _rts_ledger WHERE at >= ? GROUP BY resource", (since,)
    )
    return dict(rows)


async def set_limits(tx: Tx, limits: Mapping[str, tuple[int, int]], read_at: Millis) -> None:
    """Keep the org's limits, as {name: (max, remaining)}."""
    await tx.executemany(
        "INSERT OR REPLACE INTO _rts_limit (name, max, remaining, read_at) VALUES (?, ?, ?, ?)",
        [(name, highest, remaining, read_at) for name, (highest, remaining) in limits.items()],
    )


async def limits(database: Database) -> list[LimitRecord]:
    """The limits as last read."""
    rows = await database.fetch("SELECT name, max, remaining, read_at FROM _rts_limit ORDER BY name")
    return [LimitRecord(*row) for row in rows]


async def by_hour(database: Database, since: Millis) -> list[tuple[Millis, str, int]]:
    """API calls since then as (start of the hour, purpose, calls), oldest first."""
    rows = await database.fetch(
        "SELECT at - at % 3600000, purpose, SUM(calls) FROM _rts_ledger"
        " WHERE at >= ? AND resource='DailyApiRequests' GROUP BY 1, 2 ORDER BY 1",
        (since,),
    )
    return [(int(hour), str(purpose), int(calls)) for hour, purpose, calls in rows]
