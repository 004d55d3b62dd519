"""Dead letters: unusable pushes and undeliverable messages, kept with the reason for a retry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from rtsd.core.privacy import MaskedPush, stored_push
from rtsd.errors import NotFound
from rtsd.store.database import AMONG, Database, Row, Tx

UNKNOWN_FIELD = "UnknownField"
"""The reason for a change with an unknown field; it is retried when the column is added."""

DELIVERY = "delivery"
"""The kind of an undelivered message of a rule or alert; the other kind is push."""

_IS_HELD = (
    "EXISTS (SELECT 1 FROM _rts_held"
    " WHERE webhook_id > 'retry-' || letter.id || '-' || letter.attempts || '-'"
    " AND webhook_id < 'retry-' || letter.id || '-' || letter.attempts || '.')"
)
"""Whether a letter waits to be applied again; the range of ids uses the index, which LIKE would not."""

_PUSH_OF = "kind='push' AND object IS NOT DISTINCT FROM ? AND record IS NOT DISTINCT FROM ?"
_DELIVERY = "kind = 'delivery' AND webhook_id=?"

_SELECT = (
    "SELECT id, at, reason, message, object, record, attempts, body, kind, rule, webhook_id, tried_at"
    " FROM _rts_dead_letter"
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter; `body` is a push document with just the unusable change.

    For a delivery, `body` is the undelivered document, `rule` the name of its rule or alert, and `webhook_id`
    its id. `at` is the time of the loss, `tried_at` that of the last retry that failed again.
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
    tried_at: str | None = None


async def add(
    tx: Tx,
    at: str,
    reason: str,
    message: str,
    push: MaskedPush,
    *,
    object_name: str | None,
    record: str | None,
) -> None:
    """Add an unusable push; it replaces an earlier one with the same record and reason.

    One that is being retried keeps its number and the time of its loss, and counts the try, whatever the
    reason is now.
    """
    letter_id = await _retried(tx, object_name, record)
    if letter_id is not None:
        tx.counts.dead_letters -= await tx.executemany(
            f"DELETE FROM _rts_dead_letter WHERE {_PUSH_OF} AND reason=? AND id<>?",
            [(object_name, record, reason, letter_id)],
        )
        await tx.execute(
            "UPDATE _rts_dead_letter SET tried_at=?, reason=?, message=?, body=?, attempts=attempts+1"
            " WHERE id=?",
            (at, reason, message, push.body, letter_id),
        )
        return
    ((attempts,),) = await tx.fetch(
        "INSERT INTO _rts_dead_letter (at, reason, message, object, record, body) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (reason, object, record) WHERE kind = 'push' DO UPDATE SET"
        " at=excluded.at, tried_at=NULL, message=excluded.message, body=excluded.body,"
        " attempts=_rts_dead_letter.attempts+1"
        " RETURNING attempts",
        (at, reason, message, object_name, record, push.body),
    )
    tx.counts.dead_letters += attempts == 1


def retry_id(letter: DeadLetter, unique: str) -> str:
    """The id under which a dead push is applied again; it names the letter and its tries so far."""
    return f"retry-{letter.id}-{letter.attempts}-{unique}"


async def is_being_retried(tx: Tx, letter_id: int) -> bool:
    """Whether a dead push waits to be applied again."""
    found = await tx.fetch(
        "SELECT 1 FROM _rts_dead_letter AS letter WHERE id=? AND " + _IS_HELD, (letter_id,)
    )
    return bool(found)


async def _retried(tx: Tx, object_name: str | None, record: str | None) -> int | None:
    rows = await tx.fetch(
        f"SELECT id FROM _rts_dead_letter AS letter WHERE {_PUSH_OF} AND {_IS_HELD}",
        (object_name, record),
    )
    return int(rows[0][0]) if rows else None


async def settle_retries(tx: Tx, webhook_ids: Iterable[str]) -> None:
    """Delete the letters whose retry has been applied; one that failed again has one more try by now."""
    parts = [webhook_id.split("-") for webhook_id in webhook_ids if webhook_id.startswith("retry-")]
    done = [(int(part[1]), int(part[2])) for part in parts if len(part) == 4 and part[1].isdecimal()]
    if done:
        tx.counts.dead_letters -= await tx.executemany(
            "DELETE FROM _rts_dead_letter WHERE id=? AND attempts=? AND kind='push'", done
        )


async def add_delivery(tx: Tx, letter: DeadLetter) -> None:
    """Add an undeliverable message; one sent again keeps its number and time, and adds up its tries."""
    known = await tx.executemany(
        "UPDATE _rts_dead_letter SET tried_at=?, reason=?, message=?, body=?, attempts=attempts+?"
        f" WHERE {_DELIVERY}",
        [(letter.at, letter.reason, letter.message, letter.body, letter.attempts, letter.webhook_id)],
    )
    if known:
        return
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


async def settle_deliveries(tx: Tx, webhook_ids: Sequence[str]) -> None:
    """Delete the letters of deliveries that were sent again, now that they have arrived or are not wanted."""
    tx.counts.dead_letters -= await tx.executemany(
        f"DELETE FROM _rts_dead_letter WHERE {_DELIVERY}", [(webhook_id,) for webhook_id in webhook_ids]
    )


async def newest(database: Database, limit: int = 1000) -> list[DeadLetter]:
    """The newest dead letters, newest first."""
    return [_letter(row) for row in await database.fetch(f"{_SELECT} ORDER BY id DESC LIMIT ?", (limit,))]


async def find(database: Database, letter_id: int) -> DeadLetter | None:
    """A dead letter by id; None if there is none."""
    rows = await database.fetch(f"{_SELECT} WHERE id=?", (letter_id,))
    return _letter(rows[0]) if rows else None


async def get(database: Database, letter_id: int) -> DeadLetter:
    """A dead letter by id. Raises NotFound."""
    if (found := await find(database, letter_id)) is not None:
        return found
    raise NotFound(f"no dead letter {letter_id}", "list them with `rtsd dead-letters list`")


async def count_by_rule(database: Database) -> dict[str, int]:
    """The number of undelivered messages by rule or alert."""
    rows = await database.fetch(
        "SELECT rule, COUNT(*) FROM _rts_dead_letter WHERE kind = 'delivery' GROUP BY rule"
    )
    return {str(rule): int(number) for rule, number in rows}


async def newest_id(database: Database, *, but_of: Collection[str] = ()) -> int:
    """The newest id, excluding deliveries of the rules in `but_of`; 0 if there is none."""
    ((found,),) = await database.fetch(
        f"SELECT COALESCE(MAX(id), 0) FROM _rts_dead_letter WHERE rule IS NULL OR rule NOT {AMONG}",
        (list(but_of),),
    )
    return int(found)


async def count_of(database: Database, object_name: str, record: str) -> int:
    """The number of dead letters of a record."""
    ((number,),) = await database.fetch(
        "SELECT COUNT(*) FROM _rts_dead_letter WHERE object=? AND record=?", (object_name, record)
    )
    return int(number)


async def count_for(tx: Tx, object_name: str, reason: str) -> int:
    """The number of dead pushes of an object with that reason."""
    found = (object_name, reason)
    rows = await tx.fetch(
        "SELECT COUNT(*) FROM _rts_dead_letter WHERE object=? AND reason=? AND kind='push'", found
    )
    return int(rows[0][0])


async def take(tx: Tx, object_name: str, reason: str) -> list[tuple[int, MaskedPush]]:
    """Remove all of an object with that reason and return them as (id, push), to be retried."""
    found = (object_name, reason)
    rows = await tx.fetch("SELECT id, body FROM _rts_dead_letter WHERE object=? AND reason=?", found)
    await tx.execute("DELETE FROM _rts_dead_letter WHERE object=? AND reason=?", found)
    tx.counts.dead_letters -= len(rows)
    return [(int(letter_id), stored_push(bytes(body))) for letter_id, body in rows]


async def drop(tx: Tx, letter_id: int) -> None:
    """Delete a dead letter."""
    dropped = await tx.executemany("DELETE FROM _rts_dead_letter WHERE id=?", [(letter_id,)])
    tx.counts.dead_letters -= dropped


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(*row)
