"""The outbox: what rules and alerts send, durable with the change that made them send it.

What goes to one destination about one record is a lane: only its oldest delivery is due, the others have no
`due_at` until that one is done. So picking what is due never looks at what has to wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from rtsd.core.instant import Millis
from rtsd.store.database import Database, Tx

_PICK = (
    "SELECT seq, webhook_id, rule, destination, object, record, event, created_at, tries, first_tried_at,"
    " body FROM _rts_outbox"
)


class Posting(NamedTuple):
    """Something to be sent: to whom, about what, and the document."""

    webhook_id: str
    rule: str
    destination: str
    object: str
    """Empty for an alert."""
    record: str
    event: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery that is not done; moments in ms."""

    seq: int
    webhook_id: str
    rule: str
    destination: str
    object: str
    record: str
    event: int
    created_at: Millis
    tries: int
    first_tried_at: Millis | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Count:
    """How the deliveries of one rule fare; all but `pending` and `last_fired_at` since some moment."""

    fired: int
    delivered: int
    failed: int
    pending: int
    last_fired_at: Millis | None


async def add(tx: Tx, postings: Sequence[Posting], at: Millis) -> None:
    """Put deliveries into the outbox, in the transaction of what made them; due unless others go first."""
    await tx.executemany(
        "INSERT INTO _rts_outbox"
        " (webhook_id, rule, destination, object, record, event, created_at, body, due_at)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?8, ?7,"
        " CASE WHEN EXISTS (SELECT 1 FROM _rts_outbox WHERE destination=?3 AND object=?4 AND record=?5"
        " AND done_at IS NULL) THEN NULL ELSE ?8 END",
        [(*posting, at) for posting in postings],
    )


async def due(
    database: Database, destination: str, now: Millis, limit: int, under_way: Collection[int]
) -> list[Delivery]:
    """What is to be tried now, the longest due first; not what is `under_way` (by seq)."""
    rows = await database.fetch(
        f"{_PICK} WHERE destination=? AND due_at <= ? AND seq NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY due_at, seq LIMIT ?",
        (destination, now, _json(under_way), limit),
    )
    return [Delivery(*row) for row in rows]


async def finish(tx: Tx, delivery: Delivery, outcome: str, at: Millis, *, failed: bool = False) -> None:
    """A delivery is done, one way or the other: the next one of its lane is due.

    Its body goes; the rest stays for a day, to be counted.
    """
    await tx.execute(
        "UPDATE _rts_outbox SET done_at=?, outcome=?, tries=tries+1, due_at=NULL, body=NULL,"
        " failed_at=CASE WHEN ? THEN ? ELSE failed_at END WHERE seq=?",
        (at, outcome, failed, at, delivery.seq),
    )
    await tx.execute(
        "UPDATE _rts_outbox SET due_at=?1 WHERE due_at IS NULL AND seq = (SELECT MIN(next.seq)"
        " FROM _rts_outbox AS this JOIN _rts_outbox AS next USING (destination, object, record)"
        " WHERE this.seq=?2 AND next.done_at IS NULL)",
        (at, delivery.seq),
    )


async def postpone(tx: Tx, delivery: Delivery, at: Millis, due_at: Millis) -> None:
    """A try failed at `at`: the next one is due at `due_at`."""
    await tx.execute(
        "UPDATE _rts_outbox SET tries=tries+1, first_tried_at=COALESCE(first_tried_at, ?), failed_at=?,"
        " due_at=? WHERE seq=?",
        (at, at, due_at, delivery.seq),
    )


async def arrange(tx: Tx, destinations: Mapping[str, str], at: Millis) -> None:
    """Send what waits to where its rule sends now (`destinations` by rule): at once, if that is elsewhere.

    To be called whenever the rules may have changed; lanes are made anew.
    """
    wanted = msgspec.json.encode(destinations).decode()
    await tx.execute(
        "UPDATE _rts_outbox SET destination = now.value, due_at = ? FROM json_each(?) AS now"
        " WHERE now.key = rule AND now.value <> destination AND done_at IS NULL",
        (at, wanted),
    )
    await tx.execute(
        "UPDATE _rts_outbox AS one SET due_at = CASE WHEN due_at IS NULL THEN ? END"
        " WHERE done_at IS NULL AND (due_at IS NULL) <> EXISTS (SELECT 1 FROM _rts_outbox AS earlier"
        " WHERE earlier.destination=one.destination AND earlier.object=one.object"
        " AND earlier.record=one.record AND earlier.done_at IS NULL AND earlier.seq < one.seq)",
        (at,),
    )


async def without_rule(database: Database, rules: Iterable[str], limit: int) -> list[Delivery]:
    """Deliveries whose rule is none of these any more, oldest first."""
    rows = await database.fetch(
        f"{_PICK} WHERE done_at IS NULL AND rule NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY seq LIMIT ?",
        (_json(rules), limit),
    )
    return [Delivery(*row) for row in rows]


async def older(database: Database, destination: str, before: Millis, limit: int) -> list[Delivery]:
    """Deliveries to a destination that were made before then, oldest first."""
    rows = await database.fetch(
        f"{_PICK} WHERE destination=? AND done_at IS NULL AND created_at < ? ORDER BY seq LIMIT ?",
        (destination, before, limit),
    )
    return [Delivery(*row) for row in rows]


async def counts(database: Database, since: Millis) -> dict[str, Count]:
    """How the deliveries of each rule fare that has any."""
    rows = await database.fetch(
        "SELECT rule, SUM(created_at >= ?1), SUM(outcome = 'delivered' AND done_at >= ?1),"
        " SUM(failed_at >= ?1), SUM(done_at IS NULL), MAX(created_at) FROM _rts_outbox GROUP BY rule",
        (since,),
    )
    return {
        rule: Count(fired, done or 0, failed or 0, open_, last)
        for rule, fired, done, failed, open_, last in rows
    }


async def purge(tx: Tx, before: Millis) -> int:
    """Forget deliveries that were done before then, a few thousand at a time; return how many.

    The newest of each rule stays, which tells when it fired last.
    """
    return await tx.executemany(
        "DELETE FROM _rts_outbox WHERE seq IN (SELECT seq FROM _rts_outbox WHERE done_at < ?"
        " AND seq NOT IN (SELECT MAX(seq) FROM _rts_outbox GROUP BY rule) ORDER BY seq LIMIT 2000)",
        [(before,)],
    )


def _json(values: Iterable[object]) -> str:
    return msgspec.json.encode(list(values)).decode()
