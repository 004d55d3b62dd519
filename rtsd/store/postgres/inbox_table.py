"""The inbox in a table of the same database: pushes that any node took, until the leader has applied them.

What is applied is removed in the transaction that applies it, so nothing is applied twice. Numbers of
concurrent nodes may become visible out of their order, which does not matter: versions decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rtsd.services import UNTIL_WOKEN
from rtsd.store import held, pushes
from rtsd.store.database import Database, Tx
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.pushes import Entry


class InboxTable(Inbox):
    """The inbox of a mirror, in a table."""

    def __init__(self, file: Database, mirror: Database) -> None:
        super().__init__(file)
        self._mirror = mirror

    async def restore(self) -> None:
        """Count what waits."""
        await super().restore()
        ((self.pending,),) = await self.file.fetch("SELECT COUNT(*) FROM _rts_inbox")

    async def oldest(self) -> list[Entry]:
        """The oldest unapplied pushes, as many as one transaction applies."""
        return await pushes.oldest(self._mirror, "_rts_inbox WHERE seq > ?", (0,))

    async def mark_applied(self, tx: Tx, entries: Sequence[Entry]) -> None:
        """Remove pushes in the transaction that applies them."""
        await tx.executemany("DELETE FROM _rts_inbox WHERE seq=?", [(entry.seq,) for entry in entries])
        tx.on_commit(partial(self._were_applied, len(entries)))

    async def empty(self) -> None:
        """Move all waiting pushes into the mirror, where they are applied first."""
        while entries := await self.oldest():
            async with self._mirror.transaction() as tx:
                await held.take_over(tx, entries)
                await self.mark_applied(tx, entries)

    async def _insert(self, tx: Tx, arrivals: Sequence[Arrival]) -> None:
        await tx.executemany(
            "INSERT INTO _rts_inbox (webhook_id, received_at, body) VALUES (?, ?, ?)",
            [(arrival.webhook_id, arrival.received_at, arrival.push.body) for arrival in arrivals],
        )

    async def _tidy(self) -> float:
        return UNTIL_WOKEN

    def _were_applied(self, count: int) -> None:
        self.pending -= count
