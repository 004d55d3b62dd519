"""The progress of state audits, from which they resume after a kill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.store import meta
from rtsd.store.database import AMONG, Database, Tx

_REQUEST = "audit requested "
"""Begins the keys of requests among the small facts."""
_AFTER = "audit requested!"
"""Follows all of these keys."""


@dataclass(frozen=True, slots=True)
class AuditProgress:
    """A running state audit: `rows_read` rows are stored, from all pages before `locator`."""

    object: str
    started_at: Millis
    """On Salesforce's clock, before the first row was read."""
    job: str | None = None
    locator: str | None = None
    rows_read: int = 0
    last_id: str = ""
    """For objects that the Bulk API does not support: all rows up to this id are stored."""


async def get(database: Database, object_name: str) -> AuditProgress | None:
    """The running audit of an object, if any."""
    for name, started_at, *rest in await database.fetch(
        "SELECT object, started_at, job, locator, rows_read, last_id FROM _rts_audit WHERE object=?",
        (object_name,),
    ):
        return AuditProgress(name, from_iso(started_at), *rest)
    return None


async def under_way(database: Database) -> list[AuditProgress]:
    """All running audits, oldest first."""
    rows = await database.fetch(
        "SELECT object, started_at, job, locator, rows_read, last_id FROM _rts_audit ORDER BY started_at"
    )
    return [AuditProgress(name, from_iso(started_at), *rest) for name, started_at, *rest in rows]


async def save(tx: Tx, progress: AuditProgress) -> None:
    """Save the progress, in the transaction that stored the rows."""
    await tx.execute(
        "INSERT INTO _rts_audit (object, started_at, job, locator, rows_read, last_id)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (object) DO UPDATE SET started_at=excluded.started_at,"
        " job=excluded.job, locator=excluded.locator, rows_read=excluded.rows_read, last_id=excluded.last_id",
        (
            progress.object,
            to_iso(progress.started_at),
            progress.job,
            progress.locator,
            progress.rows_read,
            progress.last_id,
        ),
    )


async def finish(tx: Tx, object_name: str) -> None:
    """Remove the progress of a finished audit, and the request for it."""
    await tx.execute("DELETE FROM _rts_audit WHERE object=?", (object_name,))
    await tx.execute("DELETE FROM _rts_meta WHERE key=?", (_REQUEST + object_name,))


async def abandon(tx: Tx, object_name: str) -> None:
    """Remove the progress of an audit, so that it begins again; its request stays."""
    await tx.execute("DELETE FROM _rts_audit WHERE object=?", (object_name,))


async def request(tx: Tx, object_name: str, at: Millis) -> None:
    """Store an operator's request for an object's initial audit, until the audit is finished."""
    await meta.put(tx, _REQUEST + object_name, to_iso(at))


async def requested(database: Database) -> set[str]:
    """The objects with a requested and unfinished initial audit."""
    keys = await database.fetch("SELECT key FROM _rts_meta WHERE key > ? AND key < ?", (_REQUEST, _AFTER))
    return {str(key).removeprefix(_REQUEST) for (key,) in keys}


class SeenIds:
    """The ids seen by a full read, on disk to keep memory constant."""

    def __init__(self, object_name: str) -> None:
        self._object = object_name

    async def clear(self, tx: Tx) -> None:
        """Remove all ids of the object."""
        await tx.execute("DELETE FROM _rts_sweep WHERE object=?", (self._object,))

    async def add(self, tx: Tx, ids: Iterable[str]) -> None:
        """Add the ids of rows that were read."""
        await tx.executemany(
            "INSERT INTO _rts_sweep (object, id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            ((self._object, record_id) for record_id in ids),
        )

    async def orphans(self, tx: Tx, before: Millis) -> list[str]:
        """The ids of mirrored rows, last observed before `before` (ms), that the read did not return."""
        rows = await tx.fetch(f"SELECT Id {self._unseen(tx)} AND _rts_until < ?", (self._object, before))
        return [row[0] for row in rows]

    async def count_unseen(self, database: Database) -> int:
        """The number of mirrored rows that the read did not return."""
        ((number,),) = await database.fetch(f"SELECT COUNT(*) {self._unseen(database)}", (self._object,))
        return int(number)

    async def unseen_after(self, database: Database, last_id: str, limit: int) -> list[str]:
        """The ids of the next `limit` such rows after `last_id`."""
        rows = await database.fetch(
            f"SELECT Id {self._unseen(database)} AND Id > ? ORDER BY Id LIMIT ?",
            (self._object, last_id, limit),
        )
        return [row[0] for row in rows]

    async def unseen_of(self, database: Database, ids: Iterable[str]) -> dict[str, Millis]:
        """Those among these ids, each with the time of its last observation (ms)."""
        wanted = list(ids)
        rows = await database.fetch(
            f"SELECT Id, _rts_until {self._unseen(database)} AND Id {AMONG}",
            (self._object, wanted),
        )
        return dict(rows)

    def _unseen(self, database: Database | Tx) -> str:
        return (
            f"FROM {database.dialect.table(self._object)} AS mirrored"
            " WHERE NOT EXISTS (SELECT 1 FROM _rts_sweep WHERE object=? AND id=mirrored.Id)"
        )
