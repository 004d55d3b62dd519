"""The error log: what went wrong, counted instead of repeated."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.store.database import Database, Tx


@dataclass(frozen=True, slots=True)
class LoggedError:
    """One kind of error, with how often it came since the one before it was another."""

    seq: int
    at: str
    error: str
    message: str
    object: str | None
    count: int


async def add(tx: Tx, at: str, error: str, message: str, object_name: str | None) -> None:
    """Log an error; the same one right after itself only raises its count."""
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
    """The newest errors first."""
    rows = await database.fetch(
        "SELECT seq, at, error, message, object, count FROM _rts_error ORDER BY seq DESC LIMIT ?", (limit,)
    )
    return [LoggedError(*row) for row in rows]


async def count_since(database: Database, at: str) -> int:
    """How many errors there were since then, repeats included."""
    ((number,),) = await database.fetch("SELECT COALESCE(SUM(count), 0) FROM _rts_error WHERE at >= ?", (at,))
    return int(number)
