"""The error log, which counts consecutive repetitions."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import from_iso
from rtsd.store.database import Database, Tx


@dataclass(frozen=True, slots=True)
class LoggedError:
    """An error with the number of its consecutive occurrences; `at` is the last one."""

    seq: int
    at: str
    error: str
    message: str
    object: str | None
    count: int


async def add(tx: Tx, at: str, error: str, message: str, object_name: str | None) -> None:
    """Log an error; a repetition of the newest entry increments its count."""
    newest = await tx.fetch(
        "SELECT error, message, object, seq, at, count FROM _rts_error ORDER BY seq DESC LIMIT 1",
    )
    if newest and newest[0][:3] == (error, message, object_name):
        seq, last_at, count = newest[0][3:]
        await tx.execute("UPDATE _rts_error SET at=?, count=count+1 WHERE seq=?", (at, seq))
        tx.counts.errors.add(from_iso(last_at), -count)
        tx.counts.errors.add(from_iso(at), count + 1)
        return
    await tx.execute(
        "INSERT INTO _rts_error (at, error, message, object) VALUES (?, ?, ?, ?)",
        (at, error, message, object_name),
    )
    tx.counts.errors.add(from_iso(at))


async def newest(database: Database, limit: int = 200) -> list[LoggedError]:
    """The newest errors, newest first."""
    rows = await database.fetch(
        "SELECT seq, at, error, message, object, count FROM _rts_error ORDER BY seq DESC LIMIT ?", (limit,)
    )
    return [LoggedError(*row) for row in rows]
