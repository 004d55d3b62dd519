"""What every part of the engine works with: the store, the org's client, the clock, the feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from rtsd.core.change import Change
from rtsd.core.instant import Millis, to_iso
from rtsd.core.server_clock import ServerClock
from rtsd.errors import RtsError
from rtsd.salesforce.client import Client
from rtsd.store import error_log, fetches, objects
from rtsd.store.database import Database, Tx
from rtsd.store.journal import Entry, Journal, Note
from rtsd.store.objects import StoredObject
from rtsd.sync.apply import Applier, ChangeListener
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject

log = structlog.get_logger("rtsd.sync")


@dataclass
class Engine:
    """Shared by every part of the sync. `now` is the local clock, in ms."""

    database: Database
    client: Client
    catalog: Catalog
    journal: Journal
    now: Callable[[], Millis]
    publish: Callable[[Sequence[Entry]], None]
    server_clock: ServerClock
    listener: ChangeListener
    org_id: str | None = None
    fetch_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when records were put on the list of those to fetch."""
    applier: Applier = field(init=False)

    def __post_init__(self) -> None:
        self.applier = Applier(self.catalog, self.journal, self.listener)

    def salesforce_now(self) -> Millis:
        """The time on Salesforce's clock, as well as it is known."""
        return self.now() + self.server_clock.offset

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """A transaction whose journal entries are published once it has committed."""
        async with self.database.transaction() as tx:
            unit = UnitOfWork(self, tx)
            yield unit
        if unit.entries:
            self.publish(unit.entries)
        if unit.to_fetch:
            self.fetch_wanted.set()

    async def note(self, note: Note) -> None:
        """Write one entry into the journal, in a transaction of its own."""
        async with self.unit_of_work() as unit:
            await unit.note(note)

    async def report(self, error: RtsError, object_name: str | None = None) -> None:
        """Put an error where people see it: error log, journal and log."""
        log.warning("error", error=error.code, object=object_name, message=str(error))
        async with self.unit_of_work() as unit:
            await error_log.add(unit.tx, to_iso(self.now()), error.code, str(error), object_name)
            await unit.note(
                Note(type="error", object=object_name, message=str(error), detail={"error": error.code})
            )


@dataclass
class UnitOfWork:
    """One transaction of the engine."""

    engine: Engine
    tx: Tx
    entries: list[Entry] = field(default_factory=list)
    to_fetch: int = 0
    _pending: dict[str, StoredObject] = field(default_factory=dict)
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
        """Change memory once this has committed; a roll-back leaves it as it was."""
        self.tx.on_commit(callback)

    async def apply(self, changes: Sequence[Change], *, quietly: bool = False) -> list[Entry]:
        """Apply changes; their entries are published with the rest.

        `quietly` keeps rows that are new to the mirror out of the journal: a first load is no news.
        """
        engine = self.engine
        applied = await engine.applier.apply(
            self.tx, changes, at=engine.now(), salesforce_now=engine.salesforce_now(), quietly=quietly
        )
        self.entries += applied.entries
        self.to_fetch += applied.to_fetch
        return applied.entries

    async def fetch(self, mirrored: MirroredObject, ids: Sequence[str], reason: str) -> None:
        """Ask for records to be fetched."""
        await fetches.ask(self.tx, mirrored.name, [(one, reason) for one in ids], self.engine.now())
        self.to_fetch += len(ids)

    async def note(self, note: Note) -> None:
        """Write one entry into the journal."""
        await self.notes([note])

    async def notes(self, notes: Sequence[Note]) -> None:
        """Write entries into the journal."""
        self.entries += await self.engine.journal.append(self.tx, self.engine.now(), notes)
