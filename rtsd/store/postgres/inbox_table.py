"""The inbox in a table of the same database: pushes that any node took, until the leader has applied them.

What is applied is removed in the transaction that applies it, so nothing is applied twice. Numbers of
concurrent nodes may become visible out of their order, which does not matter: versions decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rtsd.errors import StorageAway
from rtsd.store import held, pushes
from rtsd.store.database import Database, Tx
from rtsd.store.engine import LOOK_ALONE_S, Lease
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.pushes import Entry


class InboxTable(Inbox):
    """The inbox of a mirror, in a table."""

    def __init__(self, file: Database, mirror: Database, lease: Lease, *, applies: bool) -> None:
        """`applies`: whether this node applies what it takes, or stands by."""
        super().__init__(file)
        self._mirror = mirror
        self._lease = lease
        self._applies = applies
        self._own: set[str] = set()
        """The ids of pushes that this node took and has not applied yet."""

    async def restore(self) -> None:
        """Count what waits."""
        await super().restore()
        ((self.pending,),) = await self.file.fetch("SELECT COUNT(*) FROM _rts_inbox")

    async def oldest(self) -> list[Entry]:
        """The oldest unapplied pushes, as many as one transaction applies."""
        return await pushes.oldest(self._mirror, "_rts_inbox WHERE seq > ?", (0,))

    def is_foreign(self, entry: Entry) -> bool:
        """Whether another node took a push that is not applied yet, or an earlier run."""
        return entry.webhook_id not in self._own

    async def mark_applied(self, tx: Tx, entries: Sequence[Entry]) -> None:
        """Remove pushes in the transaction that applies them."""
        await tx.executemany("DELETE FROM _rts_inbox WHERE seq=?", [(entry.seq,) for entry in entries])
        tx.on_commit(partial(self._were_applied, entries))

    async def empty(self) -> None:
        """Move all waiting pushes into the mirror, where they are applied first."""
        while entries := await self.oldest():
            async with self._mirror.transaction() as tx:
                await held.take_over(tx, entries)
                await self.mark_applied(tx, entries)

    async def _confirm(self, tx: Tx, known: Arrival) -> None:
        """Write something: only such a commit waits for a synchronous standby, which may lack the push."""
        await tx.execute(
            "UPDATE _rts_push_id SET received_at=received_at WHERE webhook_id=?", (known.webhook_id,)
        )

    async def _insert(self, tx: Tx, arrivals: Sequence[Arrival]) -> None:
        await tx.executemany(
            "INSERT INTO _rts_inbox (webhook_id, received_at, body) VALUES (?, ?, ?)",
            [(arrival.webhook_id, arrival.received_at, arrival.push.body) for arrival in arrivals],
        )

    async def _tidy(self) -> float:
        """Look for pushes that other nodes took."""
        try:
            ((pending,),) = await self.file.fetch("SELECT COUNT(*) FROM _rts_inbox")
        except StorageAway as error:  # an own push, which may come at any time, must not wait
            self.file.failure = self.file.failure or error.message
            return LOOK_ALONE_S
        self.pending = pending
        if pending:
            self.arrived.set()
        return self._lease.look_every_s

    def _were_added(self, added: Sequence[Arrival]) -> None:
        super()._were_added(added)
        if self._applies:
            self._own.update(arrival.webhook_id for arrival in added)

    def _were_applied(self, entries: Sequence[Entry]) -> None:
        self.pending = max(self.pending - len(entries), 0)
        for entry in entries:
            if self.is_foreign(entry):
                self.received.add(entry.received_at)
        self._own.difference_update(entry.webhook_id for entry in entries)
