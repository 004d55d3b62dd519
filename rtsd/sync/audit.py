"""The state audit: a full read of one object through the Bulk API, proven against the org's own count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from rtsd.core.change import Source, Version
from rtsd.core.instant import to_iso
from rtsd.errors import BulkFailed, BulkRefused, QuotaExhausted, RtsError
from rtsd.salesforce import bulk, soql
from rtsd.salesforce.ledger import Observed
from rtsd.store import audits, indexes, mirror
from rtsd.store.audits import AuditProgress
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import Loading, Mirrored
from rtsd.sync.deferral import defer
from rtsd.sync.engine import Engine
from rtsd.sync.interval import Interval
from rtsd.sync.limits import Limits
from rtsd.sync.rows import from_record

CELLS = 100_000
"""Values in one transaction: few enough that pushes wait some ms and memory stays small."""
MOST_ROWS = 5_000
PAGE = 100_000
"""Rows in one page of a Bulk result: what a kill costs at most."""
REST_PAGE = 2_000
CLOCK_MARGIN_MS = 2_000
"""Salesforce's clock is known to about a second, from the Date header."""
SETTLED_MS = 10_000
"""Rows created longer ago than this have arrived, by push or window."""
PROOFS = 3
"""How often rows are counted, each time after catching up, before an object is called incomplete."""

log = structlog.get_logger("rtsd.audit")


@dataclass(slots=True)
class _Reading:
    """One full read under way."""

    mirrored: Mirrored
    progress: AuditProgress
    sweep: audits.Sweep | None
    """What was seen, so that rows that are not there any more can be told; not on the first read."""


def chunk_rows(columns: int) -> int:
    """How many rows of so many columns go into one transaction."""
    return max(min(CELLS // max(columns, 1), MOST_ROWS), 100)


class StateAudit:
    """Fills the mirror, one object at a time."""

    def __init__(self, engine: Engine, interval: Interval, limits: Limits) -> None:
        self._engine = engine
        self._interval = interval
        self._limits = limits

    async def run(self, mirrored: Mirrored) -> None:
        """Read the object whole, catch up with what changed meanwhile, and prove the result.

        Raises what the client raises, after the state says why the object is not live.
        """
        try:
            await self._limits.refresh(purpose="audit")
            await self._read(mirrored)
            await indexes.build(self._engine.database, mirrored.described)
            await self.prove(mirrored)
        except QuotaExhausted as error:
            await defer(self._engine, mirrored, error)
            raise
        except RtsError as error:
            await self._set(mirrored, ObjectState.INCOMPLETE, str(error))
            raise
        finally:
            mirrored.loading = None

    async def prove(self, mirrored: Mirrored) -> bool:
        """Catch up and compare counts, until they agree: then the object is live."""
        expected = found = -1
        for attempt in range(PROOFS):
            await self._interval.step(mirrored)
            expected, found = await self._counts(mirrored, settled=attempt > 0)
            if expected == found:
                await self._set(mirrored, ObjectState.LIVE, None)
                return True
        reason = f"the org counts {expected} rows, the mirror has {found}"
        await self._set(mirrored, ObjectState.INCOMPLETE, reason)
        return False

    async def _read(self, mirrored: Mirrored) -> None:
        """Read every row there was at the start; go on where an earlier run stopped."""
        engine = self._engine
        progress = await audits.get(engine.database, mirrored.name)
        sweep = audits.Sweep(mirrored.name) if progress is None and mirrored.loaded else None
        if progress is None:
            progress = await self._begin(mirrored)
        await self._set(mirrored, ObjectState.LOADING, None)
        mirrored.loading = Loading(progress.rows_read, engine.now(), progress.rows_read)
        reading = _Reading(mirrored, progress, sweep)
        if sweep is not None:
            async with engine.writing() as writing:
                await sweep.clear(writing.tx)
        try:
            await self._read_by_bulk(reading)
        except BulkRefused as refusal:
            log.info("bulk refused", object=mirrored.name, reason=refusal.message)
            await self._read_by_rest(reading)
        await self._finish(reading)

    async def _finish(self, reading: _Reading) -> None:
        """Everything from the audit's start on is the windows' business; rows not seen are looked up."""
        mirrored, progress, sweep = reading.mirrored, reading.progress, reading.sweep
        async with self._engine.writing() as writing:
            cursor = to_iso(progress.started_at)
            await self._engine.catalog.update(
                writing.tx,
                mirrored,
                cursor=cursor,
                as_of=cursor,
                formulas_as_of=cursor,
                proven_at=cursor,
                to_fill=(),
            )
            await self._engine.catalog.update(writing.tx, mirrored, checked_at=to_iso(self._engine.now()))
            mirrored.loaded_from = progress.started_at
            await audits.finish(writing.tx, mirrored.name)
            if sweep is not None:
                orphans = await sweep.orphans(writing.tx, progress.started_at)
                await sweep.clear(writing.tx)
                await writing.fetch(mirrored, orphans, "the state audit did not find it in the org")

    async def _begin(self, mirrored: Mirrored) -> AuditProgress:
        """Count first: it says how much there is to read, and shows the time on Salesforce's clock."""
        engine = self._engine
        expected = await self._org_count(mirrored)
        progress = AuditProgress(mirrored.name, engine.salesforce_now() - CLOCK_MARGIN_MS)
        async with engine.writing() as writing:
            await audits.save(writing.tx, progress)
            await self._engine.catalog.update(writing.tx, mirrored, expected_rows=expected)
            message = f"state audit begins: {expected} rows to read"
            await writing.note(Note("audit", mirrored.name, message=message, detail={"rows": expected}))
        return progress

    async def _read_by_bulk(self, reading: _Reading) -> None:
        """Stream the result of one Bulk job; each page of it is a point to go on from."""
        client, mirrored = self._engine.client, reading.mirrored
        statement = soql.select(mirrored.described.columns, mirrored.name, mirrored.wish.where)
        resumed = reading.progress.job is not None
        point = await self._point(statement, reading.progress)
        try:
            async with bulk.reading(client, statement, point, purpose="audit", page_rows=PAGE) as job:
                async for part in job.rows(chunk_rows(len(job.columns))):
                    if part.next_page is not None:
                        reading.progress = replace(
                            reading.progress, job=job.id, locator=part.next_page, rows_read=part.total
                        )
                    await self._store(reading, part, job.observed)
        except BulkFailed as failure:
            await self._forget_job(reading)
            if not resumed:
                raise
            log.info("bulk job lost", object=mirrored.name, reason=failure.message)
            await self._read_by_bulk(reading)

    async def _point(self, statement: str, progress: AuditProgress) -> bulk.Point:
        """Where to read: in the job of an earlier run, or in a new one, remembered before it is read."""
        if progress.job is not None:
            return bulk.Point(progress.job, progress.locator or "", progress.rows_read)
        point = await bulk.create(self._engine.client, statement, purpose="audit")
        async with self._engine.database.transaction() as tx:
            await audits.save(tx, replace(progress, job=point.job, locator="", rows_read=0))
        return point

    async def _forget_job(self, reading: _Reading) -> None:
        reading.progress = AuditProgress(reading.mirrored.name, reading.progress.started_at)
        async with self._engine.database.transaction() as tx:
            await audits.save(tx, reading.progress)

    async def _store(self, reading: _Reading, part: bulk.Rows, observed: Observed) -> None:
        """Store some rows; with a page's last ones, the point to go on from too."""
        mirrored, schema = reading.mirrored, reading.mirrored.described.schema
        async with self._engine.writing() as writing:
            met = await self._engine.applier.load(
                writing.tx, mirrored, part.columns, part.rows, Version("", *observed)
            )
            records = (dict(zip(part.columns, row, strict=True)) for row in met)
            await writing.apply(
                [from_record(mirrored, schema, one, source=Source.AUDIT, seen=observed) for one in records]
            )
            if reading.sweep is not None:
                place = part.columns.index("Id")
                await reading.sweep.saw(writing.tx, (row[place] for row in part.rows))
            if mirrored.loading:
                mirrored.loading.rows = part.total
            if part.next_page is not None:
                await audits.save(writing.tx, reading.progress)
                await writing.note(self._progress(mirrored))

    def _progress(self, mirrored: Mirrored) -> Note:
        loading, expected = mirrored.loading, mirrored.expected_rows or 0
        rate = loading.rate(self._engine.now()) if loading else 0.0
        rows = loading.rows if loading else 0
        left = max(expected - rows, 0) / rate if rate else 0.0
        message = f"{rows:,} of {expected:,} rows, {rate:,.0f} a second, {left:.0f} s left"
        return Note("audit", mirrored.name, message=message, detail={"rows": rows, "expected": expected})

    async def _read_by_rest(self, reading: _Reading) -> None:
        """Read an object that the Bulk API refuses, page by page by Id."""
        engine, mirrored = self._engine, reading.mirrored
        table = mirrored.described
        while True:
            where = soql.all_of(mirrored.wish.where, soql.after_id(reading.progress.last_id))
            statement = soql.select(table.columns, mirrored.name, where, order_by="Id", limit=REST_PAGE)
            page = await engine.client.query(statement, purpose="audit")
            changes = [
                from_record(mirrored, table.schema, record, source=Source.AUDIT, seen=page.observed)
                for record in page.records
            ]
            if not changes:
                return
            reading.progress = replace(
                reading.progress,
                last_id=changes[-1].id,
                rows_read=reading.progress.rows_read + len(changes),
            )
            async with engine.writing() as writing:
                await writing.apply(changes, quietly=True)
                if reading.sweep is not None:
                    await reading.sweep.saw(writing.tx, (change.id for change in changes))
                await audits.save(writing.tx, reading.progress)
            if mirrored.loading:
                mirrored.loading.rows = reading.progress.rows_read

    async def _org_count(self, mirrored: Mirrored, condition: str = "") -> int:
        where = soql.all_of(mirrored.wish.where, condition)
        statement = soql.select(("COUNT()",), mirrored.name, where)
        return await self._engine.client.count(statement, purpose="audit")

    async def _counts(self, mirrored: Mirrored, *, settled: bool) -> tuple[int, int]:
        """The org's count and ours.

        In a lively org the two never stand still together, so a second look counts only what was
        created a while ago: CreatedDate never changes, and rows that old come and go seldom.
        """
        before = None
        if settled and "CreatedDate" in mirrored.described.schema.by_name:
            before = self._engine.salesforce_now() // 1000 * 1000 - SETTLED_MS
        condition = f"CreatedDate < {soql.moment(before)}" if before else ""
        expected = await self._org_count(mirrored, condition)
        found = await mirror.count(
            self._engine.database, mirrored.described, to_iso(before) if before else None
        )
        if before is None:
            async with self._engine.writing() as writing:
                await self._engine.catalog.update(
                    writing.tx, mirrored, expected_rows=expected, counted_at=to_iso(self._engine.now())
                )
        return expected, found

    async def _set(self, mirrored: Mirrored, state: ObjectState, error: str | None) -> None:
        if (mirrored.state, mirrored.error) == (state, error):
            return
        async with self._engine.writing() as writing:
            await self._engine.catalog.update(writing.tx, mirrored, state=state, error=error)
            message = f"{state.value}: {error}" if error else state.value
            await writing.note(Note("audit", mirrored.name, message=message, detail={"state": state.value}))
        log.info("object", object=mirrored.name, state=state.value, reason=error)
