"""Dead letters: pushes, or changes in them, that could not be used; kept with the reason, retryable."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.errors import NotFound
from rtsd.store.database import Database, Row, Tx

UNKNOWN_FIELD = "UnknownField"
"""The reason of a change that held a field nobody knew: it is judged again when the column comes."""

_SELECT = "SELECT id, at, reason, message, object, record, attempts, body FROM _rts_dead_letter"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter; `body` is the push document that holds just what could not be used."""

    id: int
    at: str
    reason: str
    message: str
    object: str | None
    record: str | None
    attempts: int
    body: bytes


async def bury(
    tx: Tx, at: str, reason: str, message: str, body: bytes, *, object_name: str | None, record: str | None
) -> None:
    """Keep what could not be used; the newest of one record and reason replaces the older ones."""
    await tx.execute(
        "INSERT INTO _rts_dead_letter (at, reason, message, object, record, body) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (reason, object, record) DO UPDATE SET"
        " at=excluded.at, message=excluded.message, body=excluded.body, attempts=attempts+1",
        (at, reason, message, object_name, record, body),
    )


async def newest(database: Database, limit: int = 1000) -> list[DeadLetter]:
    """The newest dead letters."""
    return [_letter(row) for row in await database.fetch(f"{_SELECT} ORDER BY id DESC LIMIT ?", (limit,))]


async def get(database: Database, letter_id: int) -> DeadLetter:
    """One dead letter. Raises NotFound."""
    for row in await database.fetch(f"{_SELECT} WHERE id=?", (letter_id,)):
        return _letter(row)
    raise NotFound(f"no dead letter {letter_id}", "`rtsd dead-letters list` shows those that exist")


async def count(database: Database) -> int:
    """How many there are."""
    ((number,),) = await database.fetch("SELECT COUNT(*) FROM _rts_dead_letter")
    return int(number)


async def count_of(database: Database, object_name: str, record: str) -> int:
    """How many there are of one record."""
    ((number,),) = await database.fetch(
        "SELECT COUNT(*) FROM _rts_dead_letter WHERE object=? AND record=?", (object_name, record)
    )
    return int(number)


async def take(tx: Tx, object_name: str, reason: str) -> list[tuple[int, bytes]]:
    """Take out all of one object and reason, as (id, body): what stood in their way is gone."""
    found = (object_name, reason)
    rows = await tx.fetch("SELECT id, body FROM _rts_dead_letter WHERE object=? AND reason=?", found)
    await tx.execute("DELETE FROM _rts_dead_letter WHERE object=? AND reason=?", found)
    return [(int(letter_id), bytes(body)) for letter_id, body in rows]


async def drop(tx: Tx, letter_id: int) -> None:
    """Forget one."""
    await tx.execute("DELETE FROM _rts_dead_letter WHERE id=?", (letter_id,))


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(*row)
