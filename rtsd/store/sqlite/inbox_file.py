"""The inbox in a file beside the mirror, with a writer of its own.

The mirror keeps the highest number of a push that it has applied, written in the transaction with the
changes. Pushes up to that number are removed from the inbox later, and at the start if a kill or a power cut
came in between: so none is lost, and none is applied twice. A mirror and its inbox bear the same mark, as
numbers mean nothing to another mirror.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from rtsd.errors import ForeignDatabase, StoreError
from rtsd.services import UNTIL_WOKEN
from rtsd.store import held, meta, pushes
from rtsd.store.database import Database, Queries, Tx
from rtsd.store.inbox import MAX_GROUP, UNBROKEN, Arrival, Inbox
from rtsd.store.pushes import Entry
from rtsd.store.recent_pushes import RecentPushes
from rtsd.store.sqlite import files
from rtsd.store.sqlite.database import SqliteDatabase

SELECT_APPLIED = (
    "SELECT COALESCE((SELECT CAST(value AS INTEGER) FROM _rts_meta WHERE key='inbox applied'), 0)"
)
"""The highest number of a push that the mirror has applied."""
APPLIED = "inbox applied"
"""The key of that number."""
_REMOVED = "inbox removed"
PAIR = "inbox"
"""The key of the mark that a mirror and its inbox bear."""
AT_ONCE = 10_000
"""Ids in one transaction."""
SETTLE_AFTER = 64
"""Applied pushes that are removed with the next commit, as each frees the pages of its body."""
SETTLE_EVERY_S = 1.0
"""Seconds between removals while no pushes arrive, unless more than `MAX_GROUP` are due: each is a commit
that a push might have to wait for."""


class InboxFile(Inbox):
    """The inbox of a mirror, in the file beside it."""

    def __init__(self, file: SqliteDatabase, mirror: SqliteDatabase) -> None:
        super().__init__(file)
        self._mirror = mirror
        self._applied = 0
        """The highest number that the mirror has applied."""
        self._settled = 0
        """The highest number that was removed."""
        self._settled_at = 0.0
        self._last = 0
        """The highest number in use."""
        self._recent = RecentPushes()

    async def restore(self) -> None:
        """Restore the state of the last run."""
        await super().restore()
        ((self.pending, last),) = await self.file.fetch(
            "SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM _rts_inbox"
        )
        self._applied = self._settled = await _applied(self._mirror)
        self._last = max(self._applied, last)

    async def oldest(self) -> list[Entry]:
        """The oldest unapplied pushes, as many as one transaction applies."""
        recent = self._recent.after(self._applied)
        return recent or await pushes.oldest(self.file, "_rts_inbox WHERE seq > ?", (self._applied,))

    async def mark_applied(self, tx: Tx, entries: Sequence[Entry]) -> None:
        """Note in the mirror that the oldest pushes are applied, in the transaction that applies them.

        Once it has committed, they are removed from the inbox.
        """
        last = entries[-1].seq
        await _mark_applied(tx, last)
        tx.on_commit(partial(self._were_applied, last, len(entries)))

    async def empty(self) -> None:
        """Move all waiting pushes into the mirror, where they are applied first."""
        mirror = self._mirror
        while entries := await pushes.oldest(
            self.file, "_rts_inbox WHERE seq > ?", (await _applied(mirror),)
        ):
            async with mirror.transaction() as tx:
                await held.take_over(tx, entries)
                await _mark_applied(tx, entries[-1].seq)
        await _settle(self.file, await _applied(mirror))

    async def _insert(self, tx: Tx, arrivals: Sequence[Arrival]) -> None:
        added = [Entry(seq, *arrival) for seq, arrival in enumerate(arrivals, self._last + 1)]
        await tx.executemany(
            "INSERT INTO _rts_inbox (seq, webhook_id, received_at, body) VALUES (?, ?, ?, ?)",
            [(*entry[:3], entry.push.body) for entry in added],
        )
        if self._applied - self._settled >= SETTLE_AFTER:
            await self._settle_some(tx)
        tx.on_commit(partial(self._were_numbered, added))

    async def _tidy(self) -> float:
        behind = self._applied - self._settled
        if not behind:
            return UNTIL_WOKEN
        pause = self._settled_at + SETTLE_EVERY_S - asyncio.get_running_loop().time()
        if behind <= MAX_GROUP and pause > 0:
            return pause
        with suppress(StoreError):  # the health check tells; pushes may still fit
            async with self.file.transaction() as tx:
                await self._settle_some(tx)
            return 0.0
        return SETTLE_EVERY_S

    async def _settle_some(self, tx: Tx) -> None:
        """Remove the pushes that the mirror has applied, some at a time; their ids stay for late retries."""
        last = min(self._applied, self._settled + MAX_GROUP)
        await tx.execute("DELETE FROM _rts_inbox WHERE seq > ? AND seq <= ?", (self._settled, last))
        await _note_removed(tx, last)
        tx.on_commit(partial(self._were_settled, last))

    def _were_numbered(self, added: Sequence[Entry]) -> None:
        self._last += len(added)
        self._recent.add(added)

    def _were_applied(self, last: int, count: int) -> None:
        self._applied = last
        self._recent.forget(last)
        self.pending -= count
        self.wake.set()

    def _were_settled(self, last: int) -> None:
        self._settled = last
        self._settled_at = asyncio.get_running_loop().time()


async def open_beside(database: SqliteDatabase) -> InboxFile:
    """Open or create the inbox of a mirror, without the pushes that the mirror has applied.

    Raises ForeignDatabase for the inbox of another mirror, NewerDatabase, CorruptDatabase or
    StorageUnwritable.
    """
    path = files.inbox_path(database.path)
    if not files.exists(path, files.INBOX):
        files.require_no_journal(path)
        await pair(database)
        await files.create(path, files.INBOX)
    inbox = await SqliteDatabase.connected(path, files.INBOX)
    try:
        await _require_pair(database, inbox)
        await _take_ids(database, inbox)
        await _settle(inbox, await _applied(database))
    except BaseException:
        await inbox.close()
        raise
    return InboxFile(inbox, database)


async def _applied(mirror: Queries) -> int:
    ((seq,),) = await mirror.fetch(SELECT_APPLIED)
    return int(seq)


async def _mark_applied(tx: Tx, seq: int) -> None:
    await meta.put(tx, APPLIED, str(seq))


async def _settle(inbox: Database, seq: int) -> None:
    """Remove the pushes up to a number, which the mirror has applied durably. Their ids stay.

    An older mirror than the inbox belongs to, as from a backup, lacks what was removed.
    """
    async with inbox.transaction() as tx:
        if int(await meta.get(tx, _REMOVED) or 0) > seq:
            await tx.execute("DELETE FROM _rts_meta WHERE key LIKE ?", (UNBROKEN.format("%"),))
        await tx.execute("DELETE FROM _rts_inbox WHERE seq <= ?", (seq,))
        await _note_removed(tx, seq)


async def _note_removed(tx: Tx, seq: int) -> None:
    """Note in the inbox that the pushes up to a number are removed, in the transaction that removes them."""
    await meta.put(tx, _REMOVED, str(seq))


async def pair(database: SqliteDatabase) -> None:
    """Give the mirror the mark of a new inbox."""
    async with database.transaction() as tx:
        ((mark,),) = await tx.fetch("SELECT lower(hex(randomblob(16)))")
        await meta.put(tx, PAIR, mark)


async def _require_pair(database: SqliteDatabase, inbox: SqliteDatabase) -> None:
    mark, found = await meta.get(database, PAIR), await meta.get(inbox, PAIR)
    if found is None and mark is not None:  # new
        async with inbox.transaction() as tx:
            await meta.put(tx, PAIR, mark)
    elif found != mark:
        raise ForeignDatabase(
            f"{inbox.path} is the inbox of another mirror than {database.path}",
            f"put the right one there, or remove {inbox.path}, {inbox.path}-wal and {inbox.path}-shm:"
            " the pushes in it are not applied then, and rtsd reads what changed",
        )


async def _take_ids(database: SqliteDatabase, inbox: SqliteDatabase) -> None:
    """Move the ids of pushes into the inbox that an earlier version or a backup has left in the mirror."""
    last = 0
    while rows := await database.fetch(
        "SELECT rowid, webhook_id, received_at FROM _rts_push_id WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (last, AT_ONCE),
    ):
        last = rows[-1][0]
        async with inbox.transaction() as tx:
            await tx.executemany(
                "INSERT INTO _rts_push_id (webhook_id, received_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [row[1:] for row in rows],
            )
    if last:
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM _rts_push_id")
