"""Interval Sync: reading what changed since the cursor, while pushes are silent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from rtsd.core.change import Change, Operation, Outcome, Source
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso, normal_iso, to_iso
from rtsd.core.window import SHORTEST_MS, Window, halves, lookback_for, next_cursor, next_window
from rtsd.errors import BulkRefused, SalesforceError
from rtsd.salesforce import bulk, soql
from rtsd.salesforce.ledger import Observed
from rtsd.store import mirror
from rtsd.store.journal import Note
from rtsd.sync import filters, width
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.engine import Engine
from rtsd.sync.rows import DELETED, MASTER, from_deletion, from_record, read_columns

PAGE = 2_000
"""Rows in one REST page, the most there is."""
BULK_ABOVE = 20_000
"""Rows from which a Bulk job costs fewer calls than REST pages."""
WIDE_AT_ONCE = 200
"""Rows of a wide object that are fetched at a time: each is long."""
TOO_LARGE = ("QUERY_TIMEOUT", "OPERATION_TOO_LARGE", "EXCEEDED_ID_LIMIT")
"""Refusals of a window that its halves may not meet (SOAP API guide, ExceptionCode)."""
NO_LOG = (400, 404, 405)
"""Statuses of an org that keeps no delete log for the object, or none that reaches back so far."""

log = structlog.get_logger("rtsd.interval")


@dataclass(slots=True)
class WindowRead:
    """What one window brought."""

    rows: int = 0
    applied: int = 0
    late_by: Millis = 0
    """By how much a row came later than the window that its stamp belongs to, at most."""
    seen: set[str] = field(default_factory=set)
    """The rows that the filter let in, for objects that have one."""


class Interval:
    """Reads one window of one object at a time."""

    def __init__(self, engine: Engine, lookback: Millis) -> None:
        self._engine = engine
        self.lookback = lookback
        self._reading = defaultdict[str, asyncio.Lock](asyncio.Lock)

    async def step(self, mirrored: MirroredObject) -> WindowRead:
        """Read everything that changed since the cursor, then move it.

        The cursor moves in the transaction that stored the window's last rows, never before. Raises
        what the client raises; then the next step reads the same window again.
        """
        async with self._reading[mirrored.name]:
            return await self._read(mirrored)

    async def _read(self, mirrored: MirroredObject) -> WindowRead:
        schema = mirrored.described.schema
        if mirrored.cursor is None or schema.cursor is None:
            return WindowRead()
        lookback = lookback_for(self.lookback, mirrored.late_by)
        window = next_window(mirrored.cursor, self._engine.salesforce_now(), lookback)
        done = WindowRead()
        covered, deletions = await self._deletions(mirrored, window)
        await self._slice(mirrored, window, done)
        await self._apply(mirrored, deletions, done)  # last: a row in the bin tells more of its deletion
        await self._finish(mirrored, window, covered, done)
        return done

    async def _slice(self, mirrored: MirroredObject, window: Window, done: WindowRead) -> None:
        """Read the rows of a window; where it is too much for one query, both of its halves."""
        try:
            await width.fitting(mirrored, lambda: self._rows(mirrored, window, done))
            if mirrored.config.where:
                await self._departures(mirrored, window, done)
        except SalesforceError as error:
            parts = halves(window) if error.reason in TOO_LARGE else None
            if parts is None:
                raise
            log.info("window halved", object=mirrored.name, reason=error.reason)
            for part in parts:
                await self._slice(mirrored, part, done)

    async def _rows(self, mirrored: MirroredObject, window: Window, done: WindowRead) -> None:
        """Read the window page by page, by (stamp, Id); what is left of a large one by a Bulk job."""
        schema = mirrored.described.schema
        cursor = schema.cursor or ""
        columns = _columns(mirrored)
        condition = soql.all_of(_within(cursor, window), mirrored.config.where)
        behind, read = "", 0
        while True:
            where = soql.all_of(condition, behind)
            if read >= BULK_ABOVE and not mirrored.rest_only:
                try:
                    await self._bulk(mirrored, soql.select(columns, mirrored.name, where), done)
                except BulkRefused:
                    mirrored.rest_only = True
                else:
                    return
            statement = soql.select(columns, mirrored.name, where, order_by=f"{cursor},Id", limit=PAGE)
            page = await self._engine.client.query(statement, purpose="interval", all_rows=True)
            await self._take(mirrored, page.records, page.observed, done)
            read += len(page.records)
            if page.done and len(page.records) < PAGE:
                return
            behind = _behind(mirrored, cursor, page.records)

    async def _bulk(self, mirrored: MirroredObject, statement: str, done: WindowRead) -> None:
        client = self._engine.client
        async with bulk.job(client, statement, purpose="interval", all_rows=True) as job:
            async for part in job.rows():
                records = [dict(zip(part.columns, row, strict=True)) for row in part.rows]
                await self._take(mirrored, records, job.observed, done)

    async def _take(
        self,
        mirrored: MirroredObject,
        records: Sequence[Mapping[str, Any]],
        observed: Observed,
        done: WindowRead,
    ) -> None:
        """Apply the rows of one page, as JSON or as CSV text."""
        schema = mirrored.described.schema
        changes = [
            from_record(mirrored, schema, record, source=Source.INTERVAL, seen=observed) for record in records
        ]
        if mirrored.config.where:
            done.seen.update(change.id for change in changes)
        if len(width.parts(mirrored)) > 1:
            changes = await self._whole(mirrored, changes)
        await self._apply(mirrored, changes, done)

    async def _whole(self, mirrored: MirroredObject, keys: Sequence[Change]) -> list[Change]:
        """The whole rows of a wide object, of which the window brought the keys; known ones are left out."""
        table = mirrored.described
        own = await mirror.versions_of(self._engine.database, table, [key.id for key in keys])
        changes = [key for key in keys if key.operation is Operation.DELETE]
        wanted = [key.id for key in keys if key.operation is not Operation.DELETE and not _settled(key, own)]
        for start in range(0, len(wanted), WIDE_AT_ONCE):
            answer = await self._engine.client.retrieve(
                mirrored.name,
                wanted[start : start + WIDE_AT_ONCE],
                table.columns,
                purpose="interval",
                most_characters=mirrored.most_characters,
            )
            changes += [
                from_record(mirrored, table.schema, one, source=Source.INTERVAL, seen=answer.observed)
                for one in answer.records
                if one is not None
            ]
        return changes

    async def _departures(self, mirrored: MirroredObject, window: Window, done: WindowRead) -> None:
        """Rows that changed so that the filter does not let them in any more leave the mirror."""
        table = mirrored.described
        cursor, behind = table.schema.cursor or "", ""
        while True:
            where = soql.all_of(_within(cursor, window), behind)
            statement = soql.select(("Id", cursor), mirrored.name, where, order_by=f"{cursor},Id", limit=PAGE)
            page = await self._engine.client.query(statement, purpose="interval")
            changed = {full_id(str(row["Id"])): row for row in page.records}
            own = await mirror.stamps_of(self._engine.database, table, changed.keys() - done.seen)
            kept = await filters.matching(self._engine, mirrored, sorted(own), "interval")
            gone = [
                filters.departure(mirrored, changed[one], source=Source.INTERVAL, seen=page.observed)
                for one in sorted(own.keys() - kept)
            ]
            await self._apply(mirrored, gone, done)
            if page.done and len(page.records) < PAGE:
                return
            behind = _behind(mirrored, cursor, page.records)

    async def _deletions(self, mirrored: MirroredObject, window: Window) -> tuple[Millis, list[Change]]:
        """Hard deletes leave no row to read; the delete log names them.

        Return up to when the org's own bookkeeping is whole: behind that, a transaction was running. It is
        asked before the rows are read, or a transaction that ends in between would be lost.
        """
        if not mirrored.described.schema.replicateable:
            return window.end, []
        start = min(window.start, window.end - SHORTEST_MS)
        try:
            logged = await self._engine.client.deleted(mirrored.name, start, window.end, purpose="interval")
        except SalesforceError as error:
            parts = halves(window) if error.reason in TOO_LARGE else None
            if parts is not None:
                early, late = [await self._deletions(mirrored, part) for part in parts]
                return min(early[0], late[0]), early[1] + late[1]
            if error.status not in NO_LOG:
                raise
            mirrored.checked_at = None  # a fingerprint is due: it finds what the log would have named
            log.warning("delete log", object=mirrored.name, reason=error.reason, message=error.message)
            return window.end, []
        changes = [
            from_deletion(mirrored, record_id, to_iso(deleted_at), logged.observed)
            for record_id, deleted_at in logged.records
        ]
        return logged.covered, changes

    async def _apply(self, mirrored: MirroredObject, changes: list[Change], done: WindowRead) -> None:
        if not changes:
            return
        async with self._engine.unit_of_work() as unit:
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
        if stamps and mirrored.cursor is not None:
            done.late_by = max(done.late_by, mirrored.cursor - min(stamps))

    async def _finish(
        self, mirrored: MirroredObject, window: Window, covered: Millis, done: WindowRead
    ) -> None:
        now = window.end - 1000
        mirrored.late_by = max(mirrored.late_by, done.late_by)
        cursor = to_iso(next_cursor(mirrored.cursor or now, now, covered))
        async with self._engine.unit_of_work() as unit:
            await self._engine.catalog.update(unit.tx, mirrored, cursor=cursor, as_of=to_iso(now))
            if done.applied:
                message = f"window read: {done.rows} rows, {done.applied} changes"
                await unit.note(Note("audit", mirrored.name, source="interval", message=message))
        log.info("window", object=mirrored.name, rows=done.rows, applied=done.applied, cursor=cursor)


def _columns(mirrored: MirroredObject) -> list[str]:
    """What a window selects: every column, or the keys of an object that is too wide for that."""
    schema = mirrored.described.schema
    columns = read_columns(schema)
    if len(width.parts(mirrored)) == 1:
        return columns
    return [name for name in columns if name in ("Id", schema.cursor, DELETED, MASTER)]


def _within(cursor: str, window: Window) -> str:
    return soql.all_of(f"{cursor} >= {soql.moment(window.start)}", f"{cursor} < {soql.moment(window.end)}")


def _behind(mirrored: MirroredObject, cursor: str, records: Sequence[Mapping[str, Any]]) -> str:
    """The condition for what follows a page. A locator would die with its session (see Client.query)."""
    if not records:
        raise SalesforceError(f"{mirrored.name}: a page of a window came empty, but not as the last one")
    return soql.after_stamp(cursor, normal_iso(str(records[-1][cursor])), full_id(str(records[-1]["Id"])))


def _settled(key: Change, own: Mapping[str, tuple[str, Millis]]) -> bool:
    """Whether the mirror shows the row at this stamp, as seen after the stamp's second had ended."""
    stamp, seen = own.get(key.id, ("", 0))
    return stamp == key.version.stamp and seen >= from_iso(stamp) + 1000
