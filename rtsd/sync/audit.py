"""The state audit: a full read of one object through the Bulk API, proven against the org's own count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.instant import to_iso
from rtsd.errors import BulkFailed, BulkRefused, QuotaExhausted, RtsError
from rtsd.salesforce import bulk, soql
from rtsd.salesforce.counting import count_rows
from rtsd.salesforce.ledger import Observed
from rtsd.store import audits, indexes, meta, mirror
from rtsd.store.audits import AuditProgress
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync import width
from rtsd.sync.catalog import Loading, MirroredObject
from rtsd.sync.columns import Columns
from rtsd.sync.deferral import defer
from rtsd.sync.deletion_guard import guard_deletions
from rtsd.sync.engine import Engine, UnitOfWork
from rtsd.sync.interval import Interval
from rtsd.sync.limits import Limits
from rtsd.sync.repair import Repair
from rtsd.sync.rows import from_record

PAGE = 100_000
"""Rows in one page of a Bulk result: what a kill costs at most."""
CLOCK_MARGIN_MS = 2_000
"""Salesforce's clock is known to about a second, from the Date header."""
SETTLED_MS = 10_000
"""Rows created longer ago than this have arrived, by push or window."""
PROOFS = 3
"""How often rows are counted, each time after catching up, before an object is called incomplete."""

MOST_NAMED = 1_000
"""Ids in one journal entry."""
ACCEPTED = "an operator accepted that it is gone"

log = structlog.get_logger("rtsd.audit")


@dataclass(slots=True)
class _Reading:
    """One full read under way."""

    mirrored: MirroredObject
    progress: AuditProgress
    sweep: audits.SeenIds | None
    """What was seen, so that rows that are not there any more can be told; not on the first read."""


class StateAudit:
    """Fills the mirror, one object at a time."""

    def __init__(self, engine: Engine, interval: Interval, limits: Limits) -> None:
        self._engine = engine
        self._interval = interval
        self._limits = limits
        self._columns = Columns(engine)
        self._repair = Repair(engine)

    async def run(self, mirrored: MirroredObject, *, accept_missing: bool = False) -> None:
        """Read the object whole, catch up with what changed meanwhile, and prove the result.

        With `accept_missing`, rows that the read did not return are deleted, however many. Raises what the
        client raises, after the state says why the object is not live.
        """
        try:
            await self._limits.refresh(purpose="audit")
            await self._read(mirrored, accept_missing=accept_missing)
            await indexes.build(self._engine.database, mirrored.described)
            await self._repair.step()
            await self.prove(mirrored)
        except QuotaExhausted as error:
            await defer(self._engine, mirrored, error)
            raise
        except RtsError as error:
            await self._set(mirrored, ObjectState.INCOMPLETE, str(error))
            raise
        finally:
            mirrored.loading = None

    async def doubt(self, mirrored: MirroredObject, reason: str) -> None:
        """Call a live object incomplete until it is proven again."""
        if mirrored.state is ObjectState.LIVE:
            await self._set(mirrored, ObjectState.INCOMPLETE, reason)

    async def prove(self, mirrored: MirroredObject) -> bool:
        """Fill what is empty, catch up and compare counts, until they agree: then the object is live."""
        if mirrored.reread:
            await self._set(mirrored, ObjectState.INCOMPLETE, f"it is to be read again: {mirrored.reread}")
            return False
        if mirrored.contradicted:
            return False
        await self._columns.fill(mirrored)
        expected = found = -1
        for attempt in range(PROOFS):
            await self._interval.step(mirrored)
            expected, found = await self._counts(mirrored, settled=attempt > 0)
            if expected == found:
                mirrored.vanished = mirrored.unexplained = 0
                await self._set(mirrored, ObjectState.LIVE, None)
                return True
        if not is_plausible(found - expected, found):
            await guard_deletions(self._engine, mirrored, found - expected, found)
            return False
        mirrored.vanished = 0
        reason = f"the org counts {expected} rows, the mirror has {found}"
        await self._set(mirrored, ObjectState.INCOMPLETE, reason)
        return False

    async def _read(self, mirrored: MirroredObject, *, accept_missing: bool) -> None:
        """Read every row there was at the start; go on where an earlier run stopped."""
        engine = self._engine
        began = engine.now()
        progress = await audits.get(engine.database, mirrored.name)
        sweep = audits.SeenIds(mirrored.name) if mirrored.loaded else None
        if progress is None:
            progress = await self._begin(mirrored)
            await self._clear(sweep)
        await self._set(mirrored, ObjectState.LOADING, None)
        mirrored.loading = Loading(progress.rows_read, engine.now(), progress.rows_read)
        reading = _Reading(mirrored, progress, sweep)
        try:
            await width.fitting(mirrored, lambda: self._read_by_bulk(reading))
        except BulkRefused as refusal:
            mirrored.rest_only = True
            log.info("bulk refused", object=mirrored.name, reason=refusal.message)
            await width.fitting(mirrored, lambda: self._read_by_rest(reading))
        await self._finish(reading, accept_missing=accept_missing)
        log.info("audit", object=mirrored.name, rows=mirrored.loading.rows, ms=engine.now() - began)

    async def _clear(self, sweep: audits.SeenIds | None) -> None:
        """Begin anew to note what is seen."""
        if sweep is not None:
            async with self._engine.database.transaction() as tx:
                await sweep.clear(tx)

    async def _finish(self, reading: _Reading, *, accept_missing: bool) -> None:
        """Everything from the audit's start on is the windows' business; rows not seen are looked up."""
        mirrored, progress, sweep = reading.mirrored, reading.progress, reading.sweep
        async with self._engine.unit_of_work() as unit:
            cursor = to_iso(progress.started_at)
            await self._engine.catalog.update(
                unit.tx,
                mirrored,
                cursor=cursor,
                as_of=cursor,
                formulas_as_of=cursor,
                proven_at=cursor,
            )
            await meta.put(unit.tx, f"filter {mirrored.name}", mirrored.config.where)
            mirrored.reread = ""
            await self._engine.catalog.update(unit.tx, mirrored, checked_at=to_iso(self._engine.now()))
            mirrored.loaded_from = progress.started_at
            await audits.finish(unit.tx, mirrored.name)
            if sweep is not None:
                orphans = await sweep.orphans(unit.tx, progress.started_at)
                await sweep.clear(unit.tx)
                if orphans:
                    await self._judge_orphans(unit, mirrored, orphans, accept_missing=accept_missing)

    async def _judge_orphans(
        self, unit: UnitOfWork, mirrored: MirroredObject, orphans: list[str], *, accept_missing: bool
    ) -> None:
        """Rows of the mirror that a whole read did not return: few are looked up, many are left alone.

        When they are many, the counts differ as much, so the proof that follows freezes the object.
        """
        message = f"{len(orphans)} rows are in the mirror that the org does not show"
        detail = {"orphaned": orphans[:MOST_NAMED]}
        await unit.note(Note("drift", mirrored.name, message=message, detail=detail))
        if accept_missing:
            now = self._engine.salesforce_now()
            at = Version(to_iso(now // 1000 * 1000), now, now)
            await unit.apply(
                [
                    Change(mirrored.name, one, Operation.DELETE, Source.AUDIT, at, note=ACCEPTED)
                    for one in orphans
                ]
            )
        elif is_plausible(len(orphans), await mirror.count(self._engine.database, mirrored.described)):
            await unit.fetch(mirrored, orphans, "the state audit did not find it in the org")

    async def _begin(self, mirrored: MirroredObject) -> AuditProgress:
        """Count first: it says how much there is to read, and shows the time on Salesforce's clock."""
        engine = self._engine
        expected = await self._org_count(mirrored)
        left_out = await self._left_out(mirrored, expected)
        progress = AuditProgress(mirrored.name, engine.salesforce_now() - CLOCK_MARGIN_MS)
        async with engine.unit_of_work() as unit:
            await audits.save(unit.tx, progress)
            await self._engine.catalog.update(unit.tx, mirrored, expected_rows=expected)
            message = f"state audit begins: {expected} rows to read, {left_out}"
            await unit.note(Note("audit", mirrored.name, message=message, detail={"rows": expected}))
        return progress

    async def _left_out(self, mirrored: MirroredObject, expected: int) -> str:
        """What the configuration leaves out, in words: nobody shall find out by missing it."""
        if not mirrored.config.where:
            return "every row there is"
        everything = await count_rows(self._engine.client, mirrored.described.schema, purpose="audit")
        return f"{everything - expected} are left out by: {mirrored.config.where}"

    async def _select(self, reading: _Reading) -> list[str]:
        """The columns to read, those that fit into one query; the others are filled afterwards.

        A job that is resumed has the columns that it was created with: all but those to be filled.
        """
        mirrored = reading.mirrored
        columns = mirrored.described.columns
        if reading.progress.job is None and not reading.progress.last_id:
            first, *others = width.parts(mirrored)
            rest = tuple(name for part in others for name in part if name not in first)
            async with self._engine.unit_of_work() as unit:
                await self._engine.catalog.update(unit.tx, mirrored, to_fill=rest)
        return [name for name in columns if name not in mirrored.to_fill]

    async def _read_by_bulk(self, reading: _Reading) -> None:
        """Stream the result of one Bulk job; each page of it is a point to go on from."""
        client, mirrored = self._engine.client, reading.mirrored
        statement = soql.select(await self._select(reading), mirrored.name, mirrored.config.where)
        resumed = reading.progress.job is not None
        point = await self._point(statement, reading.progress)
        try:
            async with bulk.resume(client, statement, point, purpose="audit", page_rows=PAGE) as job:
                async for part in job.rows(width.chunk_rows(len(job.columns))):
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

    async def _point(self, statement: str, progress: AuditProgress) -> bulk.ResumePoint:
        """Where to read: in the job of an earlier run, or in a new one, remembered before it is read."""
        if progress.job is not None:
            return bulk.ResumePoint(progress.job, progress.locator or "", progress.rows_read)
        point = await bulk.create(self._engine.client, statement, purpose="audit")
        async with self._engine.database.transaction() as tx:
            await audits.save(tx, replace(progress, job=point.job, locator="", rows_read=0))
        return point

    async def _forget_job(self, reading: _Reading) -> None:
        await self._clear(reading.sweep)
        reading.progress = AuditProgress(reading.mirrored.name, reading.progress.started_at)
        async with self._engine.database.transaction() as tx:
            await audits.save(tx, reading.progress)

    async def _store(self, reading: _Reading, part: bulk.Rows, observed: Observed) -> None:
        """Store some rows; with a page's last ones, the point to go on from too."""
        mirrored, schema = reading.mirrored, reading.mirrored.described.schema
        async with self._engine.unit_of_work() as unit:
            met = part.rows  # when read again, a row that was missing is news for the journal
            if not mirrored.loaded:
                met = await self._engine.applier.load(
                    unit.tx, mirrored, part.columns, part.rows, Version("", *observed)
                )
            records = (dict(zip(part.columns, row, strict=True)) for row in met)
            await unit.apply(
                [from_record(mirrored, schema, one, source=Source.AUDIT, seen=observed) for one in records]
            )
            if reading.sweep is not None:
                place = part.columns.index("Id")
                await reading.sweep.add(unit.tx, (row[place] for row in part.rows))
            if mirrored.loading:
                mirrored.loading.rows = part.total
            if part.next_page is not None:
                await audits.save(unit.tx, reading.progress)
                await unit.note(self._progress(mirrored))

    def _progress(self, mirrored: MirroredObject) -> Note:
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
        columns = await self._select(reading)
        while True:
            where = soql.all_of(mirrored.config.where, soql.after_id(reading.progress.last_id))
            statement = soql.select(columns, mirrored.name, where, order_by="Id", limit=width.REST_PAGE)
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
            async with engine.unit_of_work() as unit:
                await unit.apply(changes, quietly=not mirrored.loaded)
                if reading.sweep is not None:
                    await reading.sweep.add(unit.tx, (change.id for change in changes))
                await audits.save(unit.tx, reading.progress)
            if mirrored.loading:
                mirrored.loading.rows = reading.progress.rows_read

    async def _org_count(self, mirrored: MirroredObject, condition: str = "") -> int:
        where = soql.all_of(mirrored.config.where, condition)
        return await count_rows(self._engine.client, mirrored.described.schema, where, purpose="audit")

    async def _counts(self, mirrored: MirroredObject, *, settled: bool) -> tuple[int, int]:
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
            async with self._engine.unit_of_work() as unit:
                await self._engine.catalog.update(
                    unit.tx, mirrored, expected_rows=expected, counted_at=to_iso(self._engine.now())
                )
        return expected, found

    async def _set(self, mirrored: MirroredObject, state: ObjectState, error: str | None) -> None:
        if (mirrored.state, mirrored.error) == (state, error):
            return
        async with self._engine.unit_of_work() as unit:
            await self._engine.catalog.update(unit.tx, mirrored, state=state, error=error)
            message = f"{state.value}: {error}" if error else state.value
            await unit.note(Note("audit", mirrored.name, message=message, detail={"state": state.value}))
        log.info("object", object=mirrored.name, state=state.value, reason=error)
