"""The inbox: pushes that are stored durably before they are acknowledged, until they are applied.

It has a writer of its own, so that a push never waits for a transaction of the mirror. What else a channel
must not lose, such as its position in a stream, belongs into the transaction that stores its pushes.
"""

from __future__ import annotations

import asyncio
import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from rtsd.core.daily_count import MAX_MINUTES, DailyCount
from rtsd.core.instant import MINUTE_MS, Millis
from rtsd.core.position import Position
from rtsd.core.privacy import MaskedPush
from rtsd.errors import CannotCommit, StoreError
from rtsd.services import Service
from rtsd.store import meta
from rtsd.store.database import AMONG, Database, Queries, Tx
from rtsd.store.pushes import Entry

MAX_WAITING = 1_000
"""Pushes that may wait for a commit; beyond that the gateway answers 503 immediately."""
MAX_GROUP = 256
"""Pushes per commit: one fsync covers all that arrived during the previous one."""
ANSWER_S = 3.0
"""Seconds within which a push is stored or refused: a database behind a network that drops packets, or whose
synchronous standby is away, neither answers nor fails for longer than a sender waits."""

ROOM = 2_000
"""Unapplied pushes beyond which a stream is not asked for more: the bus keeps them for days."""

_POSITION = "position of {}"
_POSITION_AT = "time of the position of {}"
_SEALED_SINCE = "sealed since"
UNBROKEN = "unbroken {}"
"""The key of what is not missing up to the position of a stream."""


_KEYS = tuple(key.partition("{")[0] for key in (_POSITION, _POSITION_AT, _SEALED_SINCE, UNBROKEN))


def is_of_inbox(key: str) -> bool:
    """Whether a key-value pair belongs to the inbox: it is stored with the pushes that it is about."""
    return key.startswith(_KEYS)


class Arrival(NamedTuple):
    """A push to be added to the inbox."""

    webhook_id: str
    received_at: Millis
    push: MaskedPush


class Inbox(Service, ABC):
    """Appends pushes with group commit; `append` returns only while it is running."""

    name = "inbox"

    def __init__(self, file: Database) -> None:
        super().__init__()
        self.file = file
        """Where the pushes are, through a writer of its own."""
        self.pending = 0
        """Unapplied pushes."""
        self.received = DailyCount()
        """Pushes by time of arrival."""
        self._waiting: asyncio.Queue[tuple[Arrival, asyncio.Future[bool]]] = asyncio.Queue(MAX_WAITING)
        self.arrived = asyncio.Event()
        """Set when there may be pushes to apply."""
        self._closed = False
        self._hangs = False
        """Whether a step has taken so long that a push was refused."""

    async def restore(self) -> None:
        """Count what earlier runs have left, once at the start."""
        for minute, number in await self.file.fetch(
            f"SELECT received_at / {MINUTE_MS}, COUNT(*) FROM _rts_push_id GROUP BY 1 ORDER BY 1 DESC"
            f" LIMIT {MAX_MINUTES}"
        ):
            self.received.add(minute * MINUTE_MS, number)

    async def append(self, arrival: Arrival) -> bool:
        """Store a push durably and return after the commit; False if its id was received before.

        Raises CannotCommit if it could not be stored, or was not in time: then it may be stored later.
        """
        if self._closed:
            raise _stopping()
        if self._hangs:
            raise _hanging()
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((arrival, outcome))
        except asyncio.QueueFull:
            raise CannotCommit("too many pushes are waiting for the disk", retry_after_s=2) from None
        self.wake.set()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await outcome
        except TimeoutError:
            self._hangs = True
            late = _hanging()
            self.file.failure = self.file.failure or late.message
            raise late from None

    async def append_from_stream(
        self,
        arrivals: Sequence[Arrival],
        stream: str,
        position: Position,
        *,
        unbroken: Callable[[], str | None],
        sealed_since: int | None = None,
    ) -> None:
        """Store the pushes that a stream brought with its position after them, all or nothing.

        `unbroken` returns what the method of that name does from then on, None to forget it, and is called
        within the transaction. `sealed_since`, if given, is what `sealed_since` returns. A push whose id was
        received before is not stored again. Raises StoreError.
        """
        async with self.file.transaction() as tx:
            if arrivals:
                await self._add(tx, arrivals)
            replay_id = base64.b64encode(position.replay_id).decode()
            await meta.put(tx, _POSITION.format(stream), replay_id)
            await meta.put(tx, _POSITION_AT.format(stream), str(position.at or ""))
            if (record := unbroken()) is None:
                await meta.remove(tx, UNBROKEN.format(stream))
            else:
                await meta.put(tx, UNBROKEN.format(stream), f"{replay_id} {record}")
            if sealed_since is not None:
                await meta.put(tx, _SEALED_SINCE, str(sealed_since))
        if arrivals:
            self.arrived.set()

    async def position(self, stream: str) -> Position | None:
        """The position of a stream, or None if it never ran."""
        found = await meta.get(self.file, _POSITION.format(stream))
        at = await meta.get(self.file, _POSITION_AT.format(stream))
        return None if found is None else Position(base64.b64decode(found), int(at) if at else None)

    async def unbroken(self, stream: str) -> str | None:
        """What was stored with the position about what is not missing up to it; None if it is not known.

        Nor is it after a run of an earlier version, which stores a position alone.
        """
        found = await meta.get(self.file, UNBROKEN.format(stream))
        replay_id, _, record = (found or "").partition(" ")
        return record if found and replay_id == await meta.get(self.file, _POSITION.format(stream)) else None

    async def forget_unbroken(self, stream: str) -> None:
        """Forget it. Raises StoreError."""
        async with self.file.transaction() as tx:
            await meta.remove(tx, UNBROKEN.format(stream))

    async def sealed_since(self) -> int | None:
        """When the first sealed document was signed (Unix s); None if none came."""
        found = await meta.get(self.file, _SEALED_SINCE)
        return None if found is None else int(found)

    async def forget_seals(self) -> None:
        """Forget that sealed documents came. Raises StoreError."""
        async with self.file.transaction() as tx:
            await meta.remove(tx, _SEALED_SINCE)

    async def knows(self, webhook_ids: Sequence[str]) -> bool:
        """Whether all of these pushes were received."""
        return len(await _known(self.file, webhook_ids)) == len(set(webhook_ids))

    @property
    def has_room(self) -> bool:
        """Whether a stream may bring more pushes now, so that what waits stays small."""
        return self.pending < ROOM

    async def step(self) -> float:
        """Commit a group, or remove applied pushes."""
        self._closed = False
        try:
            return 0.0 if await self.commit() else await self._tidy()
        finally:
            self._hangs = False

    @abstractmethod
    async def oldest(self) -> list[Entry]:
        """The oldest unapplied pushes, as many as one transaction applies."""

    def is_foreign(self, entry: Entry) -> bool:  # noqa: ARG002 - for subclasses
        """Whether another node took a push that is not applied yet, or an earlier run."""
        return False

    @abstractmethod
    async def mark_applied(self, tx: Tx, entries: Sequence[Entry]) -> None:
        """Note in the mirror that the oldest pushes are applied, in the transaction that applies them."""

    @abstractmethod
    async def empty(self) -> None:
        """Move all waiting pushes into the mirror, where they are applied first."""

    async def purge(self, before: Millis, most: int) -> int:
        """Delete ids of pushes from before `before` (ms) among the oldest `most`; return the number.

        Reads only those, so that it takes the same time for any number of pushes.
        """
        oldest = f"SELECT rowid, received_at FROM _rts_push_id ORDER BY rowid LIMIT {most}"
        due = f"SELECT rowid FROM ({oldest}) AS oldest WHERE received_at < ?"
        async with self.file.transaction() as tx:
            return await tx.executemany(f"DELETE FROM _rts_push_id WHERE rowid IN ({due})", [(before,)])

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
        async with self.file.transaction() as tx:
            return await self._add(tx, arrivals)

    async def _add(self, tx: Tx, arrivals: Sequence[Arrival]) -> list[bool]:
        """Add pushes; return which of them are new."""
        known = await _known(tx, [arrival.webhook_id for arrival in arrivals])
        fresh = []
        for arrival in arrivals:
            fresh.append(arrival.webhook_id not in known)
            known.add(arrival.webhook_id)
        stored = [arrival for arrival, is_fresh in zip(arrivals, fresh, strict=True) if is_fresh]
        if not stored and arrivals:
            await self._confirm(tx, arrivals[0])
        await tx.executemany(
            "INSERT INTO _rts_push_id (webhook_id, received_at) VALUES (?, ?)",
            [arrival[:2] for arrival in stored],
        )
        await self._insert(tx, stored)
        tx.on_commit(partial(self._were_added, stored))
        return fresh

    async def _confirm(self, tx: Tx, known: Arrival) -> None:
        """Make a commit that adds nothing as durable as one that does, if it is not."""

    @abstractmethod
    async def _insert(self, tx: Tx, arrivals: Sequence[Arrival]) -> None:
        """Add pushes that are new."""

    @abstractmethod
    async def _tidy(self) -> float:
        """Remove what is not needed any more, if it is time; return the seconds until the next step."""

    def _were_added(self, added: Sequence[Arrival]) -> None:
        self.pending += len(added)
        for arrival in added:
            self.received.add(arrival.received_at)


async def _known(database: Queries, webhook_ids: Sequence[str]) -> set[str]:
    """The ids among these that were received before."""
    rows = await database.fetch(
        f"SELECT webhook_id FROM _rts_push_id WHERE webhook_id {AMONG}", (list(webhook_ids),)
    )
    return {webhook_id for (webhook_id,) in rows}


def _hanging() -> CannotCommit:
    return CannotCommit(f"the database has not answered for {ANSWER_S:.0f} s", "the sender tries again")


def _stopping() -> CannotCommit:
    return CannotCommit("rtsd is stopping", "it accepts pushes again after the restart")
