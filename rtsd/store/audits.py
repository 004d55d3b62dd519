"""How far a state audit has come: the point it goes on from after a kill."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.store.database import Database, Tx


@dataclass(frozen=True, slots=True)
class AuditProgress:
    """A state audit under way: `rows_read` rows are stored, every page before `locator`."""

    object: str
    started_at: Millis
    """On Salesforce's clock, before the first row was read."""
    job: str | None = None
    locator: str | None = None
    rows_read: int = 0


async def get(database: Database, object_name: str) -> AuditProgress | None:
    """The audit under way, if there is one."""
    for name, started_at, *rest in await database.fetch(
        "SELECT object, started_at, job, locator, rows_read FROM _rts_audit WHERE object=?", (object_name,)
    ):
        return AuditProgress(name, from_iso(started_at), *rest)
    return None


async def save(tx: Tx, progress: AuditProgress) -> None:
    """Remember how far it has come, in the transaction that stored the rows."""
    await tx.execute(
        "INSERT OR REPLACE INTO _rts_audit (object, started_at, job, locator, rows_read)"
        " VALUES (?, ?, ?, ?, ?)",
        (progress.object, to_iso(progress.started_at), progress.job, progress.locator, progress.rows_read),
    )


async def finish(tx: Tx, object_name: str) -> None:
    """The audit is over."""
    await tx.execute("DELETE FROM _rts_audit WHERE object=?", (object_name,))
