"""Windows of Interval Sync: reads of the changes since an object's cursor."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import structlog

from rtsd.core.change import NEVER, Change, Operation, Outcome, Source, Version
from rtsd.core.cost import Cost
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.core.plural import plural
from rtsd.core.server_clock import ServerClock
from rtsd.core.window import Window, complete_until, lookback_for, next_cursor, next_window
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.store import mirror
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync import deletions, filters
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import BULK_ABOVE, Query, Reader, in_parts, parts, read_cost, retry_narrower
from rtsd.sync.rows import DELETED, MASTER, read_columns
from rtsd.sync.unit_of_work import UnitsOfWork

PURPOSE = "interval"
"""The purpose of its calls in the ledger."""
WIDE_AT_ONCE = 200
"""Rows of a wide object per call, as each is long."""

log = structlog.get_logger("rtsd.interval")


@dataclass(slots=True)
class WindowRead:
    """The result of one window."""

    until: Millis
    """Salesforce's clock (ms): every change up to here was read."""
    rows: int = 0
    applied: int = 0
    late_by: Millis = 0
    """The longest time in ms by which a row's stamp lies before the cursor: it became visible late."""
    seen: set[str] = field(default_factory=set)
    """Ids of rows that pass the filter, for objects that have one."""


class Windows:
    """Reads one window of one object at a time."""

    def __init__(
        self,
        client: Client,
        database: Database,
        work: UnitsOfWork,
        server_clock: ServerClock,
        lookback: Millis,
    ) -> None:
        self._client = client
        self._database = database
        self._work = work
        self._server_clock = server_clock
        self.lookback = lookback
        self._reading = defaultdict[str, asyncio.Lock](asyncio.Lock)

    def lookback_of(self, mirrored: MirroredObject) -> Millis:
        """Return how far behind the cursor the object's windows begin, in ms."""
        return lookback_for(self.lookback, mirrored.learned.late_by)

    async def step(self, mirrored: MirroredObject) -> WindowRead:
        """Read everything that changed since the cursor, then advance it.

        The cursor advances after all rows of the window are stored, never before. Raises the client's errors;
        then the next step reads the same window again.
        """
        async with self._reading[mirrored.name]:
            return await self._read(mirrored)

    async def _read(self, mirrored: MirroredObject) -> WindowRead:
        await self._client.log_in()
        schema = mirrored.described.schema
        now = self._server_clock.now()
        if mirrored.stored.cursor is None or schema.cursor is None:
            return WindowRead(until=now)
        client, done = self._client, WindowRead(until=now)
        window = next_window(mirrored.stored.cursor, now, self.lookback_of(mirrored))
        # A hard delete leaves no row to read. Read the log before the rows, or a transaction that ends in
        # between is lost. Apply it after them, because a row in the recycle bin has more on its deletion.
        logged = await deletions.read(client, mirrored, window, source=Source.INTERVAL, purpose=PURPOSE)
        reader = Reader(client, mirrored, PURPOSE)
        await in_parts(mirrored.name, window, lambda part: self._read_part(reader, part, done))
        await self._apply(mirrored, logged.changes if logged else [], done)
        await self._finish(mirrored, window, logged.covered if logged else window.end, done)
        if logged:
            done.until = complete_until(done.until, logged.covered)
        return done

    async def _read_part(self, reader: Reader, window: Window, done: WindowRead) -> None:
        """Read the rows of a window or of a part of it, and delete those that no longer pass the filter."""
        await retry_narrower(reader.mirrored, lambda: self._rows(reader, window, done))
        if reader.mirrored.config.where:
            await self._delete_filtered_out(reader, window, done)

    async def _rows(self, reader: Reader, window: Window, done: WindowRead) -> None:
        """Apply every row that passes the filter, including deleted rows."""
        mirrored = reader.mirrored
        cursor = mirrored.described.schema.cursor or ""
        where = soql.all_of(soql.between(cursor, window.start, window.end), mirrored.config.where)
        query = Query(_columns(mirrored), where, stamp=cursor, all_rows=True)
        async with aclosing(reader.rows(query, bulk_after=BULK_ABOVE)) as batches:
            async for batch in batches:
                changes = batch.changes(Source.INTERVAL)
                if mirrored.config.where:
                    done.seen.update(change.id for change in changes)
                if len(parts(mirrored)) > 1:
                    changes = await self._complete(reader, changes)
                await self._apply(mirrored, changes, done)

    async def _complete(self, reader: Reader, keys: Sequence[Change]) -> list[Change]:
        """Return complete rows of a wide object for the keys that the window read, without unchanged rows."""
        table = reader.mirrored.described
        own = await mirror.row_versions(self._database, table, [key.id for key in keys])
        changes = [key for key in keys if key.operation is Operation.DELETE]
        wanted = [key.id for key in keys if key.operation is not Operation.DELETE and not _settled(key, own)]
        for start in range(0, len(wanted), WIDE_AT_ONCE):
            batch = await reader.retrieve(wanted[start : start + WIDE_AT_ONCE])
            changes += batch.changes(Source.INTERVAL)
        return changes

    async def _delete_filtered_out(self, reader: Reader, window: Window, done: WindowRead) -> None:
        """Delete rows that no longer pass the filter."""
        mirrored, database = reader.mirrored, self._database
        cursor = mirrored.described.schema.cursor or ""
        query = Query(("Id", cursor), soql.between(cursor, window.start, window.end), stamp=cursor)
        async with aclosing(reader.rows(query)) as batches:
            async for batch in batches:
                changed = {full_id(str(record["Id"])): record for record in batch.records}
                own = await mirror.stamps_of(database, mirrored.described, changed.keys() - done.seen)
                kept = await filters.matching(reader, sorted(own))
                gone = [
                    filters.removal(mirrored, changed[record_id], Source.INTERVAL, batch.observed)
                    for record_id in sorted(own.keys() - kept)
                ]
                await self._apply(mirrored, gone, done)

    async def _apply(self, mirrored: MirroredObject, changes: list[Change], done: WindowRead) -> None:
        if not changes:
            return
        async with self._work.begin() as unit:
            entries = await unit.apply(changes)
        done.rows += len(changes)
        cursor = mirrored.described.schema.cursor or ""
        moved = set()
        for entry in entries:
            if entry.note.outcome == Outcome.APPLIED:
                done.applied += 1
                if entry.note.op == Operation.CREATE or cursor in (entry.note.before or ()):
                    moved.add(entry.note.id)
        stamps = [from_iso(change.version.stamp) for change in changes if change.id in moved]
        if stamps and mirrored.stored.cursor is not None:
            done.late_by = max(done.late_by, mirrored.stored.cursor - min(stamps))

    async def _finish(
        self, mirrored: MirroredObject, window: Window, covered: Millis, done: WindowRead
    ) -> None:
        now = window.end - 1000
        async with self._work.begin() as unit:
            stored = unit.stored(mirrored)
            cursor = next_cursor(stored.cursor or now, now, covered)
            await unit.store(mirrored, replace(stored, cursor=cursor, as_of=to_iso(now)))
            if done.applied:
                message = f"window read: {plural(done.rows, 'row')}, {plural(done.applied, 'change')}"
                await unit.note(Note("audit", mirrored.name, source="interval", message=message))
        mirrored.learned.late_by = max(mirrored.learned.late_by, done.late_by)
        log.info("window", object=mirrored.name, rows=done.rows, applied=done.applied, cursor=to_iso(cursor))


def window_cost(mirrored: MirroredObject, rows: int, matching: int) -> Cost:
    """Return the cost of a window that so many rows lie in, which the mirror has already.

    `matching` of them pass the filter.
    """
    if mirrored.described.schema.cursor is None:
        return Cost()
    cost = deletions.log_cost(mirrored) + read_cost(mirrored, matching, bulk_after=BULK_ABOVE)
    if mirrored.config.where:
        cost += read_cost(mirrored, rows)
    return cost


def _columns(mirrored: MirroredObject) -> list[str]:
    """Return the columns that a window selects: all, or only the keys of a wide object."""
    schema = mirrored.described.schema
    columns = read_columns(schema)
    if len(parts(mirrored)) == 1:
        return columns
    return [name for name in columns if name in ("Id", schema.cursor, DELETED, MASTER)]


def _settled(key: Change, own: Mapping[str, Version]) -> bool:
    """Return whether the mirror has the row at this stamp, read after the end of the stamp's second."""
    version = own.get(key.id, NEVER)
    return version.stamp == key.version.stamp and version.seen >= from_iso(version.stamp) + 1000
