"""The ledger of API calls, and samples of the org's limit usage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rtsd.core.instant import DAY_MS, Millis
from rtsd.core.quota import API_REQUESTS
from rtsd.store.database import Database, Tx

KEPT_MS: Millis = 31 * DAY_MS
"""The retention of calls and samples."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a limit in the 24 hours before `at`, in total and by rtsd."""

    name: str
    at: Millis
    max: int
    used: int
    ours: int


async def spend(tx: Tx, at: Millis, purpose: str, resource: str, calls: int) -> None:
    """Record calls in the ledger before they are sent."""
    await tx.execute(
        "INSERT INTO _rts_ledger (at, purpose, resource, calls) VALUES (?, ?, ?, ?)",
        (at, purpose, resource, calls),
    )
    tx.counts.called(at, purpose, resource, calls)


async def spent_by_resource(source: Database | Tx, since: Millis) -> dict[str, int]:
    """Rtsd's usage of each limit since `since`."""
    rows = await source.fetch(
        "SELECT resource, SUM(calls) FROM _rts_ledger WHERE at >= ? GROUP BY resource", (since,)
    )
    return dict(rows)


async def spent_by_minute(source: Database | Tx, resource: str, since: Millis) -> list[tuple[Millis, int]]:
    """Rtsd's usage of a limit since `since`, as (last call of the minute, count), oldest first."""
    rows = await source.fetch(
        "SELECT MAX(at), SUM(calls) FROM _rts_ledger WHERE at >= ? AND resource=? GROUP BY at / 60000"
        " ORDER BY 1",
        (since, resource),
    )
    return [(int(at), int(calls)) for at, calls in rows]


async def spent_by_hour(database: Database, since: Millis) -> list[tuple[Millis, str, int]]:
    """API calls since `since` as (start of the hour, purpose, calls), oldest first."""
    rows = await database.fetch(
        "SELECT at - at % 3600000, purpose, SUM(calls) FROM _rts_ledger"
        " WHERE at >= ? AND resource=? GROUP BY 1, 2 ORDER BY 1",
        (since, API_REQUESTS),
    )
    return [(int(hour), str(purpose), int(calls)) for hour, purpose, calls in rows]


async def used_by_hour(database: Database, since: Millis) -> list[tuple[Millis, str, int]]:
    """Rtsd's usage of every limit since `since` as (start of the hour, limit, count), oldest first."""
    rows = await database.fetch(
        "SELECT at - at % 3600000, resource, SUM(calls) FROM _rts_ledger"
        " WHERE at >= ? GROUP BY 1, 2 ORDER BY 1, 2",
        (since,),
    )
    return [(int(hour), str(resource), int(used)) for hour, resource, used in rows]


async def add_usage(tx: Tx, samples: Iterable[Usage], now: Millis) -> None:
    """Add samples, and delete expired samples and ledger entries."""
    await tx.executemany(
        "INSERT INTO _rts_usage (name, at, max, used, ours) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (at, name) DO UPDATE SET max=excluded.max, used=excluded.used, ours=excluded.ours",
        [(sample.name, sample.at, sample.max, sample.used, sample.ours) for sample in samples],
    )
    for table in ("_rts_usage", "_rts_ledger"):
        await tx.execute(f"DELETE FROM {table} WHERE at < ?", (now - KEPT_MS,))


async def usage(source: Database | Tx, since: Millis) -> list[Usage]:
    """The samples since `since`, oldest first."""
    rows = await source.fetch(
        "SELECT name, at, max, used, ours FROM _rts_usage WHERE at >= ? ORDER BY at, name", (since,)
    )
    return [Usage(*row) for row in rows]
