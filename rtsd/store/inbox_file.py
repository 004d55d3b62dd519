"""The inbox's file at the start, before pushes arrive and are applied.

The mirror keeps the highest number of a push that it has applied, written in the transaction with the
changes. Pushes up to that number are removed from the inbox later, and at the start if a kill or a power cut
came in between: so none is lost, and none is applied twice. A mirror and its inbox bear the same mark, as
numbers mean nothing to another mirror.
"""

from __future__ import annotations

from rtsd.errors import ForeignDatabase
from rtsd.store import files, held, meta, pushes
from rtsd.store.database import Database, Queries, Tx

SELECT_APPLIED = (
    "SELECT COALESCE((SELECT CAST(value AS INTEGER) FROM _rts_meta WHERE key='inbox applied'), 0)"
)
"""The highest number of a push that the mirror has applied."""
PUT_APPLIED = "INSERT OR REPLACE INTO _rts_meta (key, value) VALUES ('inbox applied', ?)"
UNBROKEN = "unbroken {}"
"""The key of what is not missing up to the position of a stream."""
_REMOVED = "inbox removed"
_PAIR = "inbox"
AT_ONCE = 10_000
"""Ids in one transaction."""


async def open_beside(database: Database) -> Database:
    """Open or create the inbox of a mirror, without the pushes that the mirror has applied.

    Raises ForeignDatabase for the inbox of another mirror, NewerDatabase, CorruptDatabase or
    StorageUnwritable.
    """
    path = files.inbox_path(database.path)
    if not files.exists(path, files.INBOX):
        files.require_no_journal(path)
        await _pair(database)
        await files.create(path, files.INBOX)
    inbox = await Database.connected(path, files.INBOX)
    try:
        await _require_pair(database, inbox)
        await _take_ids(database, inbox)
        await settle(inbox, await applied(database))
    except BaseException:
        await inbox.close()
        raise
    return inbox


async def applied(mirror: Queries) -> int:
    """The highest number of a push that the mirror has applied."""
    ((seq,),) = await mirror.fetch(SELECT_APPLIED)
    return int(seq)


async def mark_applied(tx: Tx, seq: int) -> None:
    """Note the number in the mirror, in the transaction that applies the pushes up to it."""
    await tx.execute(PUT_APPLIED, (str(seq),))


async def settle(inbox: Database, seq: int) -> None:
    """Remove the pushes up to a number, which the mirror has applied durably. Their ids stay.

    An older mirror than the inbox belongs to, as from a backup, lacks what was removed.
    """
    async with inbox.transaction() as tx:
        if int(await meta.get(tx, _REMOVED) or 0) > seq:
            await tx.execute("DELETE FROM _rts_meta WHERE key LIKE ?", (UNBROKEN.format("%"),))
        await tx.execute("DELETE FROM _rts_inbox WHERE seq <= ?", (seq,))
        await note_removed(tx, seq)


async def note_removed(tx: Tx, seq: int) -> None:
    """Note in the inbox that the pushes up to a number are removed, in the transaction that removes them."""
    await meta.put(tx, _REMOVED, str(seq))


async def empty(database: Database, inbox: Database) -> None:
    """Move all waiting pushes into the mirror, where they are applied first."""
    while entries := await pushes.oldest(inbox, "_rts_inbox WHERE seq > ?", (await applied(database),)):
        async with database.transaction() as tx:
            await held.take_over(tx, entries)
            await mark_applied(tx, entries[-1].seq)
    await settle(inbox, await applied(database))


async def _pair(database: Database) -> None:
    """Give the mirror the mark of a new inbox."""
    async with database.transaction() as tx:
        ((mark,),) = await tx.fetch("SELECT lower(hex(randomblob(16)))")
        await meta.put(tx, _PAIR, mark)


async def _require_pair(database: Database, inbox: Database) -> None:
    mark, found = await meta.get(database, _PAIR), await meta.get(inbox, _PAIR)
    if found is None and mark is not None:  # new
        async with inbox.transaction() as tx:
            await meta.put(tx, _PAIR, mark)
    elif found != mark:
        raise ForeignDatabase(
            f"{inbox.path} is the inbox of another mirror than {database.path}",
            f"put the right one there, or remove {inbox.path}, {inbox.path}-wal and {inbox.path}-shm:"
            " the pushes in it are not applied then, and rtsd reads what changed",
        )


async def _take_ids(database: Database, inbox: Database) -> None:
    """Move the ids of pushes into the inbox that an earlier version or a backup has left in the mirror."""
    last = 0
    while rows := await database.fetch(
        "SELECT rowid, webhook_id, received_at FROM _rts_push_id WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (last, AT_ONCE),
    ):
        last = rows[-1][0]
        async with inbox.transaction() as tx:
            await tx.executemany(
                "INSERT OR IGNORE INTO _rts_push_id (webhook_id, received_at) VALUES (?, ?)",
                [row[1:] for row in rows],
            )
    if last:
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM _rts_push_id")
