"""Requests to fetch records by id: the durable queue of `sync.repair`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rtsd.core.instant import Millis
from rtsd.store.database import Database, Tx

MAX_PENDING = 2_000
"""Records of an object returned at a time."""
PARTIAL = "the row is partial: a change event has no SystemModstamp, formulas or name"


async def ask(tx: Tx, object_name: str, reasons: Iterable[tuple[str, str]], at: Millis) -> None:
    """Request records, as (id, reason); a repeated request replaces the earlier one."""
    await tx.executemany(
        "INSERT INTO _rts_fetch (object, id, reason, asked_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (object, id) DO UPDATE"
        " SET reason=excluded.reason, asked_at=excluded.asked_at, completes=0",
        [(object_name, record_id, reason, at) for record_id, reason in reasons],
    )


async def ask_to_complete(tx: Tx, object_name: str, ids: Iterable[str], at: Millis) -> None:
    """Request records whose rows are partial; they may wait for others. A request that may not stays so."""
    await tx.executemany(
        "INSERT INTO _rts_fetch (object, id, reason, asked_at, completes) VALUES (?, ?, ?, ?, 1)"
        " ON CONFLICT (object, id) DO UPDATE SET asked_at=excluded.asked_at",
        [(object_name, record_id, PARTIAL, at) for record_id in ids],
    )


async def completed(tx: Tx, object_name: str, ids: Iterable[str]) -> None:
    """Remove the requests of rows that are not partial any more."""
    await tx.executemany(
        "DELETE FROM _rts_fetch WHERE object=? AND id=? AND completes=1",
        [(object_name, record_id) for record_id in ids],
    )


class Waiting(NamedTuple):
    """The pending requests of an object: up to `MAX_PENDING` as (id, requested at), oldest first."""

    asked: list[tuple[str, Millis]]
    only_completes: bool
    """Whether all that is to do is to complete partial rows."""


async def waiting(database: Database) -> dict[str, Waiting]:
    """Pending requests by object."""
    urgent = await database.fetch("SELECT object, MIN(completes) FROM _rts_fetch GROUP BY object")
    found = {}
    for name, only_completes in urgent:
        rows = await database.fetch(
            "SELECT id, asked_at FROM _rts_fetch WHERE object=? ORDER BY completes, asked_at LIMIT ?",
            (name, MAX_PENDING),
        )
        found[name] = Waiting([(record_id, asked_at) for record_id, asked_at in rows], bool(only_completes))
    return found


async def count(database: Database) -> int:
    """The number of pending requests."""
    ((number,),) = await database.fetch("SELECT COUNT(*) FROM _rts_fetch")
    return int(number)


async def reason_of(database: Database, object_name: str, record_id: str) -> str | None:
    """The reason of a record's pending request; None without one."""
    for (reason,) in await database.fetch(
        "SELECT reason FROM _rts_fetch WHERE object=? AND id=?", (object_name, record_id)
    ):
        return str(reason)
    return None


async def any_for(tx: Tx, object_name: str) -> bool:
    """Whether requests for this object are pending."""
    return bool(await tx.fetch("SELECT 1 FROM _rts_fetch WHERE object=? LIMIT 1", (object_name,)))


async def done(tx: Tx, object_name: str, asked: Sequence[tuple[str, Millis]]) -> None:
    """Remove fulfilled requests, except those renewed since `asked`."""
    await tx.executemany(
        "DELETE FROM _rts_fetch WHERE object=? AND id=? AND asked_at<=?",
        [(object_name, record_id, asked_at) for record_id, asked_at in asked],
    )
