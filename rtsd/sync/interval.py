"""Interval Sync: reading what changed since the cursor, while pushes are silent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass

import structlog

from rtsd.core.change import Change, Outcome, Source
from rtsd.core.instant import Millis, to_iso
from rtsd.core.window import SHORTEST_MS, Window, next_cursor, next_window
from rtsd.errors import SalesforceError
from rtsd.salesforce import bulk, soql
from rtsd.store.journal import Entry, Note
from rtsd.sync.catalog import Mirrored
from rtsd.sync.engine import Engine
from rtsd.sync.rows import from_deletion, from_record, read_columns

PAGE = 2_000
"""Rows in one REST page, the most there is."""
BULK_ABOVE = 20_000
"""Rows from which a Bulk job costs fewer calls than REST pages."""

log = structlog.get_logger("rtsd.interval")


@dataclass(slots=True)
class WindowRead:
    """What one window brought."""

    rows: int = 0
    applied: int = 0

    def count(self, entries: list[Entry]) -> None:
        """Count what came of the changes."""
        self.applied += sum(1 for entry in entries if entry.note.outcome == Outcome.APPLIED)


class Interval:
    """Reads one window of one object at a time."""

    def __init__(self, engine: Engine, lookback: Millis) -> None:
        self._engine = engine
        self._lookback = lookback
        self._reading = defaultdict[str, asyncio.Lock](asyncio.Lock)

    async def step(self, mirrored: Mirrored) -> WindowRead:
        """Read everything that changed since the cursor, then move it.

        The cursor moves in the transaction that stored the window's last rows, never before. Raises
        what the client raises; then the next step reads the same window again.
        """
        async with self._reading[mirrored.name]:
            return await self._read(mirrored)

    async def _read(self, mirrored: Mirrored) -> WindowRead:
        schema = mirrored.described.schema
        if mirrored.cursor is None or schema.cursor is None:
            return WindowRead()
        window = next_window(mirrored.cursor, self._engine.salesforce_now(), self._lookback)
        done = WindowRead()
        covered = await self._deletions(mirrored, window, done)
        condition = soql.all_of(
            f"{schema.cursor} >= {soql.moment(window.start)}",
            f"{schema.cursor} < {soql.moment(window.end)}",
            mirrored.wish.where,
        )
        await self._rows(mirrored, schema.cursor, condition, done)
        await self._finish(mirrored, window, covered, done)
        return done

    async def _rows(self, mirrored: Mirrored, cursor: str, condition: str, done: WindowRead) -> None:
        """Read the window page by page, by (stamp, Id); what is left of a large one by a Bulk job."""
        schema = mirrored.described.schema
        columns = read_columns(schema)
        behind = ""
        while True:
            where = soql.all_of(condition, behind)
            if done.rows >= BULK_ABOVE:
                await self._bulk(mirrored, soql.select(columns, mirrored.name, where), done)
                return
            statement = soql.select(columns, mirrored.name, where, order_by=f"{cursor},Id", limit=PAGE)
            page = await self._engine.client.query(statement, purpose="interval", all_rows=True)
            changes = [
                from_record(mirrored, schema, record, source=Source.INTERVAL, seen=page.observed)
                for record in page.records
            ]
            await self._apply(changes, done)
            if page.done and len(changes) < PAGE:
                return
            if not changes:
                raise SalesforceError(
                    f"{mirrored.name}: a page of a window came empty, but not as the last one"
                )
            behind = soql.after_stamp(cursor, changes[-1].version.stamp, changes[-1].id)

    async def _bulk(self, mirrored: Mirrored, statement: str, done: WindowRead) -> None:
        schema = mirrored.described.schema
        client = self._engine.client
        async with bulk.job(client, statement, purpose="interval", all_rows=True) as job:
            async for part in job.rows():
                changes = [
                    from_record(
                        mirrored,
                        schema,
                        dict(zip(part.columns, row, strict=True)),
                        source=Source.INTERVAL,
                        seen=job.observed,
                    )
                    for row in part.rows
                ]
                await self._apply(changes, done)

    async def _deletions(self, mirrored: Mirrored, window: Window, done: WindowRead) -> Millis:
        """Hard deletes leave no row to read; the delete log names them.

        Return up to when the org's own bookkeeping is whole: behind that, a transaction was running.
        """
        if not mirrored.described.schema.replicateable:
            return window.end
        start = min(window.start, window.end - SHORTEST_MS)
        log_entries = await self._engine.client.deleted(mirrored.name, start, window.end, purpose="interval")
        changes = [
            from_deletion(mirrored, record_id, to_iso(deleted_at), log_entries.observed)
            for record_id, deleted_at in log_entries.records
        ]
        await self._apply(changes, done)
        return log_entries.covered

    async def _apply(self, changes: list[Change], done: WindowRead) -> None:
        if not changes:
            return
        async with self._engine.writing() as writing:
            done.count(await writing.apply(changes))
        done.rows += len(changes)

    async def _finish(self, mirrored: Mirrored, window: Window, covered: Millis, done: WindowRead) -> None:
        now = window.end - 1000
        cursor = to_iso(next_cursor(mirrored.cursor or now, now, covered))
        async with self._engine.writing() as writing:
            await self._engine.catalog.update(writing.tx, mirrored, cursor=cursor, as_of=to_iso(now))
            if done.applied:
                message = f"window read: {done.rows} rows, {done.applied} changes"
                await writing.note(Note("audit", mirrored.name, source="interval", message=message))
        log.info("window", object=mirrored.name, rows=done.rows, applied=done.applied, cursor=cursor)
