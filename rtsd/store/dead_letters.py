"""Dead letters: pushes that could not be used and deliveries nobody took, kept with the reason, retryable."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from rtsd.core.privacy import MaskedPush, stored_push
from rtsd.errors import NotFound
from rtsd.store.database import Database, Row, Tx

UNKNOWN_FIELD = "UnknownField"
"""The reason of a change that held a field nobody knew: it is judged again when the column comes."""

DELIVERY = "delivery"
"""The kind of what a rule or an alert sent and nobody took; the other kind is push."""

_SELECT = (
    "SELECT id, at, reason, message, object, record, attempts, body, kind, rule, webhook_id"
    " FROM _rts_dead_letter"
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter; `body` is the push document that holds just what could not be used.

    Of a delivery it is the document that nobody took, `rule` whose it is, `webhook_id` its own id.
    """

    id: int
    at: str
    reason: str
    message: str
    object: str | None
    record: str | None
    attempts: int
    body: bytes
    kind: str = "push"
    rule: str | None = None
    webhook_id: str | None = None


async def bury(
    tx: Tx,
    at: str,
    reason: str,
    message: str,
    body: MaskedPush,
    *,
    object_name: str | None,
    record: str | None,
) -> None:
    """Keep what could not be used; the newest of one record and reason replaces the older ones."""
    ((attempts,),) = await tx.fetch(
        "INSERT INTO _rts_dead_letter (at, reason, message, object, record, body) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (reason, object, record) WHERE kind = 'push' DO UPDATE SET"
        " at=excluded.at, message=excluded.message, body=excluded.body, attempts=attempts+1"
        " RETURNING attempts",
        (at, reason, message, object_name, record, body),
    )
    tx.counts.dead_letters += attempts == 1


async def bury_delivery(tx: Tx, letter: DeadLetter) -> None:
    """Keep a delivery that nobody took; it gets an id of its own."""
    await tx.execute(
        "INSERT INTO _rts_dead_letter"
        " (at, reason, message, object, record, attempts, body, kind, rule, webhook_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            letter.at,
            letter.reason,
            letter.message,
            letter.object,
            letter.record,
            letter.attempts,
            letter.body,
            DELIVERY,
            letter.rule,
            letter.webhook_id,
        ),
    )
    tx.counts.dead_letters += 1


async def newest(database: Database, limit: int = 1000) -> list[DeadLetter]:
    """The newest dead letters."""
    return [_letter(row) for row in await database.fetch(f"{_SELECT} ORDER BY id DESC LIMIT ?", (limit,))]


async def get(database: Database, letter_id: int) -> DeadLetter:
    """One dead letter. Raises NotFound."""
    for row in await database.fetch(f"{_SELECT} WHERE id=?", (letter_id,)):
        return _letter(row)
    raise NotFound(f"no dead letter {letter_id}", "`rtsd dead-letters list` shows those that exist")


async def count_by_rule(database: Database) -> dict[str, int]:
    """How many deliveries of each rule or alert nobody took."""
    rows = await database.fetch(
        "SELECT rule, COUNT(*) FROM _rts_dead_letter WHERE kind = 'delivery' GROUP BY rule"
    )
    return {str(rule): int(number) for rule, number in rows}


async def newest_id(database: Database, *, but_of: Collection[str] = ()) -> int:
    """The newest one's id, leaving out deliveries of the rules named; 0 when there is none."""
    ((found,),) = await database.fetch(
        "SELECT COALESCE(MAX(id), 0) FROM _rts_dead_letter"
        " WHERE rule IS NULL OR rule NOT IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(list(but_of)).decode(),),
    )
    return int(found)


async def count_of(database: Database, object_name: str, record: str) -> int:
    """How many there are of one record."""
    ((number,),) = await database.fetch(
        "SELECT COUNT(*) FROM _rts_dead_letter WHERE object=? AND record=?", (object_name, record)
    )
    return int(number)


async def count_for(tx: Tx, object_name: str, reason: str) -> int:
    """How many there are of one object and reason."""
    found = (object_name, reason)
    rows = await tx.fetch(
        "SELECT COUNT(*) FROM _rts_dead_letter WHERE object=? AND reason=? AND kind='push'", found
    )
    return int(rows[0][0])


async def take(tx: Tx, object_name: str, reason: str) -> list[tuple[int, MaskedPush]]:
    """Take out all of one object and reason, as (id, body): what stood in their way is gone."""
    found = (object_name, reason)
    rows = await tx.fetch("SELECT id, body FROM _rts_dead_letter WHERE object=? AND reason=?", found)
    await tx.execute("DELETE FROM _rts_dead_letter WHERE object=? AND reason=?", found)
    tx.counts.dead_letters -= len(rows)
    return [(int(letter_id), stored_push(bytes(body))) for letter_id, body in rows]


async def drop(tx: Tx, letter_id: int) -> None:
    """Forget one."""
    dropped = await tx.executemany("DELETE FROM _rts_dead_letter WHERE id=?", [(letter_id,)])
    tx.counts.dead_letters -= dropped


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(*row)
