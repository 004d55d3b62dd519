"""The outbox: deliveries of rules and alerts, stored in the transaction of the change that caused them.

The deliveries of one record to one destination form a lane. Only the oldest of a lane is due; the others have
no `due_at` until it is done. So the query for due deliveries never reads those that must wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rtsd.core.instant import Millis
from rtsd.store.database import AMONG, Database, Tx

_PICK = (
    "SELECT seq, webhook_id, rule, destination, object, record, event, created_at, tries, first_tried_at,"
    " body FROM _rts_outbox"
)


class NewDelivery(NamedTuple):
    """A delivery to be added to the outbox."""

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
    """A pending delivery; times in ms."""

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
    """Counts of a rule's deliveries, since some time except for `pending` and `last_fired_at`."""

    fired: int
    delivered: int
    failed: int
    pending: int
    last_fired_at: Millis | None


async def add(tx: Tx, deliveries: Sequence[NewDelivery], at: Millis) -> None:
    """Add deliveries in the transaction of their cause; each is due unless its lane has earlier ones."""
    await tx.executemany(
        "INSERT INTO _rts_outbox"
        " (webhook_id, rule, destination, object, record, event, created_at, body, due_at)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?8, ?7,"
        " CASE WHEN EXISTS (SELECT 1 FROM _rts_outbox WHERE destination=?3 AND object=?4 AND record=?5"
        " AND done_at IS NULL) THEN NULL ELSE ?8 END",
        [(*delivery, at) for delivery in deliveries],
    )


async def due(
    database: Database, destination: str, now: Millis, limit: int, under_way: Collection[int]
) -> list[Delivery]:
    """The deliveries due now, longest due first, except those `under_way` (by seq)."""
    rows = await database.fetch(
        f"{_PICK} WHERE destination=? AND due_at <= ? AND seq NOT {AMONG} ORDER BY due_at, seq LIMIT ?",
        (destination, now, list(under_way), limit),
    )
    return [Delivery(*row) for row in rows]


async def is_pending(tx: Tx, webhook_id: str) -> bool:
    """Whether a delivery with this id is not done yet."""
    return bool(
        await tx.fetch("SELECT 1 FROM _rts_outbox WHERE done_at IS NULL AND webhook_id=?", (webhook_id,))
    )


async def finish(
    tx: Tx, deliveries: Sequence[tuple[Delivery, str]], at: Millis, *, failed: bool = False
) -> None:
    """Mark deliveries as done, each with its outcome, and make the next ones of their lanes due.

    Their bodies are deleted; the rest stays for a day, for the counts.
    """
    await tx.executemany(
        "UPDATE _rts_outbox SET done_at=?, outcome=?, tries=tries+1, due_at=NULL, body=NULL,"
        " failed_at=CASE WHEN ? THEN ? ELSE failed_at END WHERE seq=?",
        [(at, outcome, failed, at, delivery.seq) for delivery, outcome in deliveries],
    )
    await tx.executemany(
        "UPDATE _rts_outbox SET due_at=?1 WHERE due_at IS NULL AND seq = (SELECT MIN(next.seq)"
        " FROM _rts_outbox AS this JOIN _rts_outbox AS next USING (destination, object, record)"
        " WHERE this.seq=?2 AND next.done_at IS NULL)",
        [(at, delivery.seq) for delivery, _ in deliveries],
    )


async def postpone(tx: Tx, delivery: Delivery, at: Millis, due_at: Millis) -> None:
    """Record an attempt that failed at `at` and schedule the next for `due_at`."""
    await tx.execute(
        "UPDATE _rts_outbox SET tries=tries+1, first_tried_at=COALESCE(first_tried_at, ?), failed_at=?,"
        " due_at=? WHERE seq=?",
        (at, at, due_at, delivery.seq),
    )


async def arrange(tx: Tx, destinations: Mapping[str, str], at: Millis) -> None:
    """Redirect pending deliveries to the current destination of their rule (`destinations` by rule).

    A redirected delivery is due at once. Call it whenever the rules may have changed; it rebuilds the lanes.
    """
    await tx.executemany(
        "UPDATE _rts_outbox SET destination=?1, due_at=?2 WHERE rule=?3 AND destination <> ?1"
        " AND done_at IS NULL",
        [(destination, at, rule) for rule, destination in destinations.items()],
    )
    await tx.execute(
        "UPDATE _rts_outbox AS this SET due_at = CASE WHEN due_at IS NULL THEN ? END"
        " WHERE done_at IS NULL AND (due_at IS NULL) <> EXISTS (SELECT 1 FROM _rts_outbox AS earlier"
        " WHERE earlier.destination=this.destination AND earlier.object=this.object"
        " AND earlier.record=this.record AND earlier.done_at IS NULL AND earlier.seq < this.seq)",
        (at,),
    )


async def without_rule(database: Database, rules: Iterable[str], limit: int) -> list[Delivery]:
    """Pending deliveries of rules other than `rules`, oldest first."""
    rows = await database.fetch(
        f"{_PICK} WHERE done_at IS NULL AND rule NOT {AMONG} ORDER BY seq LIMIT ?",
        (list(rules), limit),
    )
    return [Delivery(*row) for row in rows]


async def older(database: Database, destination: str, before: Millis, limit: int) -> list[Delivery]:
    """Pending deliveries to a destination created before `before`, oldest first."""
    rows = await database.fetch(
        f"{_PICK} WHERE destination=? AND done_at IS NULL AND created_at < ? ORDER BY seq LIMIT ?",
        (destination, before, limit),
    )
    return [Delivery(*row) for row in rows]


async def counts(database: Database, since: Millis) -> dict[str, Count]:
    """The counts of each rule with deliveries."""
    rows = await database.fetch(
        "SELECT rule, COUNT(*) FILTER (WHERE created_at >= ?1),"
        " COUNT(*) FILTER (WHERE outcome = 'delivered' AND done_at >= ?1),"
        " COUNT(*) FILTER (WHERE failed_at >= ?1), COUNT(*) FILTER (WHERE done_at IS NULL), MAX(created_at)"
        " FROM _rts_outbox GROUP BY rule",
        (since,),
    )
    return {rule: Count(*counted) for rule, *counted in rows}


async def purge(tx: Tx, before: Millis) -> int:
    """Delete deliveries done before `before`, a few thousand at a time; return their number.

    The newest of each rule stays as the record of its last firing.
    """
    return await tx.executemany(
        "DELETE FROM _rts_outbox WHERE seq IN (SELECT seq FROM _rts_outbox WHERE done_at < ?"
        " AND seq NOT IN (SELECT MAX(seq) FROM _rts_outbox GROUP BY rule) ORDER BY seq LIMIT 2000)",
        [(before,)],
    )
