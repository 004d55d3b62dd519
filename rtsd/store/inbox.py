"""The inbox: pushes that are stored durably before they are acknowledged, until they are applied."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from rtsd.core.instant import Millis
from rtsd.core.privacy import MaskedPush
from rtsd.errors import CannotCommit, StoreError
from rtsd.services import UNTIL_WOKEN, Service
from rtsd.store import dead_letters, meta
from rtsd.store.database import Database, Queries, Tx

MAX_WAITING = 1_000
"""Pushes that may wait for a commit; beyond that the gateway answers 503 immediately."""
MAX_GROUP = 256
"""Pushes per commit: one fsync covers all that arrived during the previous one."""
ROOM = 2_000
"""Unapplied pushes beyond which a stream is not asked for more: the bus keeps them for days."""

_POSITION = "position of {}"


class Entry(NamedTuple):
    """A push in the inbox."""

    seq: int
    webhook_id: str
    received_at: Millis
    body: MaskedPush


class Arrival(NamedTuple):
    """A push to be added to the inbox."""

    webhook_id: str
    received_at: Millis
    body: MaskedPush


class Inbox(Service):
    """Appends pushes with group commit; `append` returns only while it is running."""

    name = "inbox"

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._waiting: asyncio.Queue[tuple[Arrival, asyncio.Future[bool]]] = asyncio.Queue(MAX_WAITING)
        self.arrived = asyncio.Event()
        """Set when there may be pushes to apply."""
        self._closed = False

    async def append(self, arrival: Arrival) -> bool:
        """Store a push durably and return after the commit; False if its id was received before.

        Raises CannotCommit if it could not be stored.
        """
        if self._closed:
            raise _stopping()
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((arrival, outcome))
        except asyncio.QueueFull:
            raise CannotCommit("too many pushes are waiting for the disk", retry_after_s=2) from None
        self.wake.set()
        return await outcome

    async def append_from_stream(self, arrivals: Sequence[Arrival], stream: str, position: bytes) -> None:
        """Store the pushes that a stream brought with its position after them, all or nothing.

        A push whose id was received before is not stored again. Raises StoreError.
        """
        async with self._database.transaction() as tx:
            if arrivals:
                await _add(tx, arrivals)
            await meta.put(tx, _POSITION.format(stream), base64.b64encode(position).decode())
        if arrivals:
            self.arrived.set()

    async def position(self, stream: str) -> bytes | None:
        """The position of a stream (a replay id), or None if it never ran."""
        found = await meta.get(self._database, _POSITION.format(stream))
        return None if found is None else base64.b64decode(found)

    async def knows(self, webhook_ids: Sequence[str]) -> bool:
        """Whether all of these pushes were received."""
        return len(await _known(self._database, webhook_ids)) == len(set(webhook_ids))

    @property
    def has_room(self) -> bool:
        """Whether a stream may bring more pushes now, so that what waits stays small."""
        return self._database.counts.pending < ROOM

    async def step(self) -> float:
        """Commit a group."""
        self._closed = False
        return 0.0 if await self.commit() else UNTIL_WOKEN

    async def close(self) -> None:
        """Fail all waiting appends."""
        self._closed = True
        while not self._waiting.empty():
            _, outcome = self._waiting.get_nowait()
            if not outcome.done():
                outcome.set_exception(_stopping())

    async def commit(self) -> int:
        """Commit the waiting pushes together; return their number."""
        group = [self._waiting.get_nowait() for _ in range(min(self._waiting.qsize(), MAX_GROUP))]
        if not group:
            return 0
        try:
            fresh = await self._commit([arrival for arrival, _ in group])
        except StoreError as error:
            for _, outcome in group:
                if not outcome.done():
                    outcome.set_exception(CannotCommit(error.message, error.do))
        except BaseException:
            for _, outcome in group:
                outcome.cancel()
            raise
        else:
            for (_, outcome), is_fresh in zip(group, fresh, strict=True):
                if not outcome.done():
                    outcome.set_result(is_fresh)
            self.arrived.set()
        return len(group)

    async def _commit(self, arrivals: Sequence[Arrival]) -> list[bool]:
        async with self._database.transaction() as tx:
            return await _add(tx, arrivals)


async def _add(tx: Tx, arrivals: Sequence[Arrival]) -> list[bool]:
    """Add pushes; return which of them are new."""
    known = await _known(tx, [arrival.webhook_id for arrival in arrivals])
    fresh = []
    for arrival in arrivals:
        fresh.append(arrival.webhook_id not in known)
        known.add(arrival.webhook_id)
    await tx.executemany(
        "INSERT INTO _rts_inbox (webhook_id, received_at, body) VALUES (?, ?, ?)",
        [arrival for arrival, is_fresh in zip(arrivals, fresh, strict=True) if is_fresh],
    )
    for arrival, is_fresh in zip(arrivals, fresh, strict=True):
        if is_fresh:
            _count(tx, arrival.received_at)
    return fresh


async def _known(database: Queries, webhook_ids: Sequence[str]) -> set[str]:
    """The ids among these that were received before."""
    ids = msgspec.json.encode(webhook_ids).decode()
    rows = await database.fetch(
        "SELECT webhook_id FROM _rts_inbox WHERE webhook_id IN (SELECT value FROM json_each(?))", (ids,)
    )
    return {webhook_id for (webhook_id,) in rows}


def _stopping() -> CannotCommit:
    return CannotCommit("rtsd is stopping", "it accepts pushes again after the restart")


async def pending(database: Database, limit: int) -> list[Entry]:
    """The oldest unapplied pushes, without held ones."""
    rows = await database.fetch(
        "SELECT seq, webhook_id, received_at, body FROM _rts_inbox"
        " WHERE body IS NOT NULL AND held IS NULL ORDER BY seq LIMIT ?",
        (limit,),
    )
    return [Entry(*row) for row in rows]


async def requeue(tx: Tx, at: Millis, letters: Sequence[tuple[int, MaskedPush]]) -> None:
    """Return dead letters, as (id, body), to the inbox under new ids."""
    await tx.executemany(
        "INSERT INTO _rts_inbox (webhook_id, received_at, body) VALUES (?, ?, ?)",
        [(f"again-{letter_id}-{at}", at, body) for letter_id, body in letters],
    )
    for _ in letters:
        _count(tx, at)


async def hold(tx: Tx, entry: Entry, parts: Mapping[str, MaskedPush]) -> None:
    """Keep parts of a push, by object, until `release`; in the transaction that applied the rest."""
    (first, body), *others = parts.items()
    await tx.execute("UPDATE _rts_inbox SET body=?, held=? WHERE seq=?", (body, first, entry.seq))
    await tx.executemany(
        "INSERT INTO _rts_inbox (webhook_id, received_at, body, held) VALUES (?, ?, ?, ?)",
        [(f"held-{entry.seq}-{name}", entry.received_at, body, name) for name, body in others],
    )
    tx.counts.pending += len(others)


async def release(tx: Tx, object_name: str) -> int:
    """Let the held pushes of an object be applied, before those received later; return their number."""
    return await tx.executemany("UPDATE _rts_inbox SET held=NULL WHERE held=?", [(object_name,)])


async def release_all_but(tx: Tx, object_names: Collection[str]) -> None:
    """Let the held pushes of all other objects be applied."""
    kept = msgspec.json.encode(list(object_names)).decode()
    await tx.execute(
        "UPDATE _rts_inbox SET held=NULL WHERE held > '' AND held NOT IN (SELECT value FROM json_each(?))",
        (kept,),
    )


async def settle(tx: Tx, entries: Sequence[Entry]) -> None:
    """Mark pushes as applied, in the transaction that applied them. Their ids stay to detect late retries."""
    settled = await tx.executemany(
        "UPDATE _rts_inbox SET body=NULL WHERE seq=? AND body IS NOT NULL",
        [(entry.seq,) for entry in entries],
    )
    tx.counts.pending -= settled
    await dead_letters.settle_retries(tx, (entry.webhook_id for entry in entries))


def _count(tx: Tx, at: Millis) -> None:
    """Count an added push."""
    tx.counts.pending += 1
    tx.counts.received.add(at)


async def purge(tx: Tx, before: Millis, most: int) -> int:
    """Delete ids of applied pushes from before `before` (ms) among the oldest `most`; return the number.

    Reads only those, so that it takes the same time for any number of pushes.
    """
    oldest = f"SELECT seq, received_at, body FROM _rts_inbox ORDER BY seq LIMIT {most}"
    applied = f"SELECT seq FROM ({oldest}) WHERE body IS NULL AND received_at < ?"
    return await tx.executemany(f"DELETE FROM _rts_inbox WHERE seq IN ({applied})", [(before,)])
