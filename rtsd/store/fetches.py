"""Requests to fetch records by id: the durable queue of `sync.repair`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rtsd.core.instant import Millis
from rtsd.store.database import Database, Tx

MAX_PENDING = 2_000
"""Records of an object returned at a time."""


async def ask(tx: Tx, object_name: str, reasons: Iterable[tuple[str, str]], at: Millis) -> None:
    """Request records, as (id, reason); a repeated request replaces the earlier one."""
    await tx.executemany(
        "INSERT INTO _rts_fetch (object, id, reason, asked_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET reason=excluded.reason, asked_at=excluded.asked_at",
        [(object_name, record_id, reason, at) for record_id, reason in reasons],
    )


async def waiting(database: Database) -> dict[str, list[tuple[str, str, Millis]]]:
    """Pending requests by object as (id, reason, requested at), oldest first, at most `MAX_PENDING` each."""
    found: dict[str, list[tuple[str, str, Millis]]] = {}
    for name, record_id, reason, asked_at in await database.fetch(
        "SELECT object, id, reason, asked_at FROM _rts_fetch ORDER BY asked_at"
    ):
        wanted = found.setdefault(name, [])
        if len(wanted) < MAX_PENDING:
            wanted.append((record_id, reason, asked_at))
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
