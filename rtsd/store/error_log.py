"""The error log, which counts consecutive repetitions."""

from __future__ import annotations

from dataclasses import dataclass

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
        "SELECT seq, error, message, object FROM _rts_error ORDER BY seq DESC LIMIT 1",
    )
    if newest and newest[0][1:] == (error, message, object_name):
        await tx.execute("UPDATE _rts_error SET at=?, count=count+1 WHERE seq=?", (at, newest[0][0]))
        return
    await tx.execute(
        "INSERT INTO _rts_error (at, error, message, object) VALUES (?, ?, ?, ?)",
        (at, error, message, object_name),
    )


async def newest(database: Database, limit: int = 200) -> list[LoggedError]:
    """The newest errors, newest first."""
    rows = await database.fetch(
        "SELECT seq, at, error, message, object, count FROM _rts_error ORDER BY seq DESC LIMIT ?", (limit,)
    )
    return [LoggedError(*row) for row in rows]


async def count_since(database: Database, at: str) -> int:
    """The number of errors since `at`, including repetitions."""
    ((number,),) = await database.fetch("SELECT COALESCE(SUM(count), 0) FROM _rts_error WHERE at >= ?", (at,))
    return int(number)
