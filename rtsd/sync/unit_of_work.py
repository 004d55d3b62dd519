"""Units of work: transactions that change the mirror, and publish their journal entries after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from rtsd.core.change import Change, Version
from rtsd.core.instant import Millis, to_iso
from rtsd.core.privacy import MaskedRows, MaskedText
from rtsd.core.server_clock import ServerClock
from rtsd.errors import RtsError
from rtsd.store import error_log, fetches, objects
from rtsd.store.database import Database, Tx
from rtsd.store.journal import Entry, Journal, Note
from rtsd.store.objects import StoredObject
from rtsd.sync.apply import Applier
from rtsd.sync.mirrored_object import MirroredObject

log = structlog.get_logger("rtsd.sync")


class UnitOfWork:
    """A transaction that applies changes, stores objects and writes journal entries."""

    def __init__(
        self, tx: Tx, applier: Applier, journal: Journal, now: Callable[[], Millis], server_clock: ServerClock
    ) -> None:
        self.tx = tx
        self.now = now
        """Returns the local time in ms."""
        self._applier = applier
        self._journal = journal
        self._server_clock = server_clock
        self.entries: list[Entry] = []
        """Journal entries of this transaction."""
        self.to_fetch = 0
        """The number of records that this transaction has requested."""
        self._pending: dict[str, StoredObject] = {}
        """Objects as this transaction has stored them."""

    def stored(self, mirrored: MirroredObject) -> StoredObject:
        """Return the object's row of `_rts_object` as this transaction sees it."""
        return self._pending.get(mirrored.name, mirrored.stored)

    async def store(self, mirrored: MirroredObject, stored: StoredObject) -> None:
        """Write the object's row; the commit updates the object in memory."""
        await objects.save(self.tx, self.stored(mirrored), stored)
        self._pending[mirrored.name] = stored
        self.on_commit(partial(mirrored.committed, stored))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after the commit, to update memory; a rollback drops it."""
        self.tx.on_commit(callback)

    async def apply(self, changes: Sequence[Change], *, quietly: bool = False) -> list[Entry]:
        """Apply changes; return their journal entries, which are published after the commit.

        `quietly` keeps new rows out of the journal, as during a first load.
        """
        applied = await self._applier.apply(
            self.tx, changes, at=self.now(), salesforce_now=self._server_clock.now(), quietly=quietly
        )
        self.entries += applied.entries
        self.to_fetch += applied.to_fetch
        return applied.entries

    async def load(
        self, mirrored: MirroredObject, rows: MaskedRows | MaskedText, version: Version
    ) -> MaskedRows:
        """Insert rows that the mirror does not know, without journalling them; return the others."""
        return await self._applier.load(self.tx, mirrored, rows, version)

    async def refresh(self, mirrored: MirroredObject, rows: MaskedRows) -> int:
        """Update some columns of rows whose version is unchanged; return the number of rows that differed."""
        return await self._applier.refresh(self.tx, mirrored, rows)

    async def fetch(self, mirrored: MirroredObject, ids: Sequence[str], reason: str) -> None:
        """Request records to be fetched by id."""
        wanted = [(record_id, reason) for record_id in ids]
        await fetches.ask(self.tx, mirrored.name, wanted, self.now())
        self.to_fetch += len(ids)

    async def note(self, note: Note) -> None:
        """Write one entry into the journal."""
        await self.notes([note])

    async def notes(self, notes: Sequence[Note]) -> None:
        """Write entries into the journal."""
        self.entries += await self._journal.append(self.tx, self.now(), notes)


class UnitsOfWork:
    """Begins units of work."""

    def __init__(
        self,
        database: Database,
        *,
        applier: Applier,
        journal: Journal,
        publish: Callable[[Sequence[Entry]], None],
        now: Callable[[], Millis],
        server_clock: ServerClock,
    ) -> None:
        self._database = database
        self._applier = applier
        self._journal = journal
        self._publish = publish
        self._now = now
        self._server_clock = server_clock
        self.fetch_wanted = asyncio.Event()
        """Set when a unit of work has requested records."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """Run a unit of work: commit and publish at the end, or roll back on an error."""
        async with self._database.transaction() as tx:
            unit = UnitOfWork(tx, self._applier, self._journal, self._now, self._server_clock)
            yield unit
        if unit.entries:
            self._publish(unit.entries)
        if unit.to_fetch:
            self.fetch_wanted.set()

    async def note(self, note: Note) -> None:
        """Write one entry into the journal, in a transaction of its own."""
        async with self.begin() as unit:
            await unit.note(note)

    async def report(self, error: RtsError, object_name: str | None = None) -> None:
        """Report an error in the error log, the journal and the log."""
        log.warning("error", error=error.code, object=object_name, message=str(error))
        async with self.begin() as unit:
            await error_log.add(unit.tx, to_iso(self._now()), error.code, str(error), object_name)
            await unit.note(
                Note(type="error", object=object_name, message=str(error), detail={"error": error.code})
            )
