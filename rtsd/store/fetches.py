"""Records to be fetched by id: the durable to-do list of `sync.repair`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rtsd.core.instant import Millis
from rtsd.store.database import Database, Tx

MOST = 2_000
"""Records of one object that are handed out at a time."""


async def ask(tx: Tx, object_name: str, reasons: Iterable[tuple[str, str]], at: Millis) -> None:
    """Ask for records, as (id, reason); one that is waiting already is asked for once."""
    await tx.executemany(
        "INSERT INTO _rts_fetch (object, id, reason, asked_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET reason=excluded.reason, asked_at=excluded.asked_at",
        [(object_name, record_id, reason, at) for record_id, reason in reasons],
    )


async def waiting(database: Database) -> dict[str, list[tuple[str, str, Millis]]]:
    """What waits, as (id, reason, asked at) by object, oldest first; at most `MOST` of each."""
    found: dict[str, list[tuple[str, str, Millis]]] = {}
    for name, record_id, reason, asked_at in await database.fetch(
        "SELECT object, id, reason, asked_at FROM _rts_fetch ORDER BY asked_at"
    ):
        wanted = found.setdefault(name, [])
        if len(wanted) < MOST:
            wanted.append((record_id, reason, asked_at))
    return found


async def count(database: Database) -> int:
    """How many records wait to be fetched."""
    ((number,),) = await database.fetch("SELECT COUNT(*) FROM _rts_fetch")
    return int(number)


async def reason_of(database: Database, object_name: str, record_id: str) -> str | None:
    """Why the record waits to be fetched; None if it does not."""
    for (reason,) in await database.fetch(
        "SELECT reason FROM _rts_fetch WHERE object=? AND id=?", (object_name, record_id)
    ):
        return str(reason)
    return None


async def any_for(tx: Tx, object_name: str) -> bool:
    """Whether records of this object still wait to be fetched."""
    return bool(await tx.fetch("SELECT 1 FROM _rts_fetch WHERE object=? LIMIT 1", (object_name,)))


async def done(tx: Tx, object_name: str, asked: Sequence[tuple[str, Millis]]) -> None:
    """Strike off what was fetched; one that was asked for again meanwhile stays."""
    await tx.executemany(
        "DELETE FROM _rts_fetch WHERE object=? AND id=? AND asked_at<=?",
        [(object_name, record_id, asked_at) for record_id, asked_at in asked],
    )
