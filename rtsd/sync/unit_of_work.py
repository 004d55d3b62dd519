"""The one way to change the mirror: a transaction whose journal entries are published after its commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from rtsd.core.change import Change, Version
from rtsd.core.instant import Millis, to_iso
from rtsd.core.privacy import MaskedRows
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
    """One transaction."""

    def __init__(
        self, tx: Tx, applier: Applier, journal: Journal, now: Callable[[], Millis], server_clock: ServerClock
    ) -> None:
        self.tx = tx
        self.now = now
        """The local clock, in ms."""
        self._applier = applier
        self._journal = journal
        self._server_clock = server_clock
        self.entries: list[Entry] = []
        """Journal entries of this transaction."""
        self.to_fetch = 0
        """Records that this transaction put on the list of those to fetch."""
        self._pending: dict[str, StoredObject] = {}
        """Objects as this transaction has stored them."""

    def stored(self, mirrored: MirroredObject) -> StoredObject:
        """Return what `_rts_object` holds of an object, as this transaction sees it."""
        return self._pending.get(mirrored.name, mirrored.stored)

    async def store(self, mirrored: MirroredObject, stored: StoredObject) -> None:
        """Write an object's row; the object in memory follows with the commit."""
        await objects.save(self.tx, self.stored(mirrored), stored)
        self._pending[mirrored.name] = stored
        self.on_commit(partial(mirrored.committed, stored))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Change memory once this has committed; a rollback leaves it as it was."""
        self.tx.on_commit(callback)

    async def apply(self, changes: Sequence[Change], *, quietly: bool = False) -> list[Entry]:
        """Apply changes; their entries are published with the rest.

        `quietly` keeps rows that are new to the mirror out of the journal: a first load is no news.
        """
        applied = await self._applier.apply(
            self.tx, changes, at=self.now(), salesforce_now=self._server_clock.now(), quietly=quietly
        )
        self.entries += applied.entries
        self.to_fetch += applied.to_fetch
        return applied.entries

    async def load(self, mirrored: MirroredObject, rows: MaskedRows, version: Version) -> MaskedRows:
        """Store rows that the mirror has never heard of, without a journal; return the others."""
        return await self._applier.load(self.tx, mirrored, rows, version)

    async def refresh(self, mirrored: MirroredObject, rows: MaskedRows) -> int:
        """Set some columns of rows that show the same version; return how many rows differed."""
        return await self._applier.refresh(self.tx, mirrored, rows)

    async def fetch(self, mirrored: MirroredObject, ids: Sequence[str], reason: str) -> None:
        """Ask for records to be fetched."""
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
        """Set when a unit of work put records on the list of those to fetch."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """Commit at the end, then publish; an error rolls everything back."""
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
