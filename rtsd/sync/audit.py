"""The state audit: a full read of one object through the Bulk API, proven against the org's own count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from rtsd.core.change import Change, Source, Version
from rtsd.core.instant import to_iso
from rtsd.errors import BulkFailed, BulkRefused, QuotaExhausted, RtsError
from rtsd.salesforce import bulk, soql
from rtsd.salesforce.ledger import Observed
from rtsd.store import audits, mirror
from rtsd.store import schema as tables
from rtsd.store.audits import AuditProgress
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import Loading, Mirrored
from rtsd.sync.engine import Engine
from rtsd.sync.interval import Interval
from rtsd.sync.rows import from_record

CHUNK = 5_000
"""Rows in one transaction: small enough that pushes wait a few ms, large enough to be quick."""
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


class StateAudit:
    """Fills the mirror, one object at a time."""

    def __init__(self, engine: Engine, interval: Interval) -> None:
        self._engine = engine
        self._interval = interval

    async def run(self, mirrored: Mirrored) -> None:
        """Read the object whole, catch up with what changed meanwhile, and prove the result.

        Raises what the client raises, after the state says why the object is not live.
        """
        try:
            await self._read(mirrored)
            await tables.build_indexes(self._engine.database, mirrored.described)
            await self.prove(mirrored)
        except RtsError as error:
            state = ObjectState.DEFERRED if isinstance(error, QuotaExhausted) else ObjectState.INCOMPLETE
            await self._set(mirrored, state, str(error))
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
        progress = await audits.get(engine.database, mirrored.name) or await self._begin(mirrored)
        await self._set(mirrored, ObjectState.LOADING, None)
        mirrored.loading = Loading(progress.rows_read, engine.now(), progress.rows_read)
        try:
            await self._read_by_bulk(mirrored, progress)
        except BulkRefused as refusal:
            log.info("bulk refused", object=mirrored.name, reason=refusal.message)
            await self._read_by_rest(mirrored)
        async with engine.writing() as writing:
            cursor = to_iso(progress.started_at)
            await engine.catalog.update(writing.tx, mirrored, cursor=cursor, as_of=cursor)
            await audits.finish(writing.tx, mirrored.name)

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

    async def _read_by_bulk(self, mirrored: Mirrored, progress: AuditProgress) -> None:
        """Stream the result of one Bulk job; each page of it is a point to go on from."""
        client = self._engine.client
        statement = soql.select(mirrored.described.columns, mirrored.name, mirrored.wish.where)
        resumed = progress.job is not None
        point = await self._point(statement, progress)
        try:
            async with bulk.reading(client, statement, point, purpose="audit", page_rows=PAGE) as job:
                async for part in job.rows(CHUNK):
                    if part.next_page is not None:
                        progress = replace(progress, job=job.id, locator=part.next_page, rows_read=part.total)
                    await self._store(mirrored, part, job.observed, progress)
        except BulkFailed as failure:
            await self._forget_job(progress)
            if not resumed:
                raise
            log.info("bulk job lost", object=mirrored.name, reason=failure.message)
            await self._read_by_bulk(mirrored, AuditProgress(mirrored.name, progress.started_at))

    async def _point(self, statement: str, progress: AuditProgress) -> bulk.Point:
        """Where to read: in the job of an earlier run, or in a new one, remembered before it is read."""
        if progress.job is not None:
            return bulk.Point(progress.job, progress.locator or "", progress.rows_read)
        point = await bulk.create(self._engine.client, statement, purpose="audit")
        async with self._engine.database.transaction() as tx:
            await audits.save(tx, replace(progress, job=point.job, locator="", rows_read=0))
        return point

    async def _forget_job(self, progress: AuditProgress) -> None:
        async with self._engine.database.transaction() as tx:
            await audits.save(tx, AuditProgress(progress.object, progress.started_at))

    async def _store(
        self, mirrored: Mirrored, part: bulk.Rows, observed: Observed, progress: AuditProgress
    ) -> None:
        """Store some rows; with a page's last ones, the point to go on from too."""
        async with self._engine.writing() as writing:
            version = Version("", *observed)
            met = await self._engine.applier.load(writing.tx, mirrored, part.columns, part.rows, version)
            await writing.apply([self._row(mirrored, part.columns, row, observed) for row in met])
            if part.next_page is not None:
                await audits.save(writing.tx, progress)
        if mirrored.loading:
            mirrored.loading.rows = part.total

    def _row(
        self, mirrored: Mirrored, columns: Sequence[str], row: Sequence[str], observed: Observed
    ) -> Change:
        record = dict(zip(columns, row, strict=True))
        return from_record(mirrored, mirrored.described.schema, record, source=Source.AUDIT, seen=observed)

    async def _read_by_rest(self, mirrored: Mirrored) -> None:
        """Read an object that the Bulk API refuses, page by page by Id."""
        engine, table = self._engine, mirrored.described
        last_id = ""
        while True:
            where = soql.all_of(mirrored.wish.where, soql.after_id(last_id))
            statement = soql.select(table.columns, mirrored.name, where, order_by="Id", limit=REST_PAGE)
            page = await engine.client.query(statement, purpose="audit")
            changes = [
                from_record(mirrored, table.schema, record, source=Source.AUDIT, seen=page.observed)
                for record in page.records
            ]
            if not changes:
                return
            async with engine.writing() as writing:
                await writing.apply(changes)
            last_id = changes[-1].id
            if mirrored.loading:
                mirrored.loading.rows += len(changes)

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
