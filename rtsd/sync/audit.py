"""The state audit: a full read of an object through the Bulk API, proven by the org's own count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

import structlog

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.cost import Cost
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.instant import Millis, to_iso
from rtsd.core.object_state import ObjectState
from rtsd.core.plural import plural
from rtsd.core.privacy import MaskedRows, MaskedText
from rtsd.core.server_clock import ServerClock
from rtsd.errors import BulkFailed, QuotaExhausted, RtsError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.counting import count_rows
from rtsd.store import audits, mirror
from rtsd.store.audits import AuditProgress
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync import departures, object_states, selection
from rtsd.sync.columns import Columns
from rtsd.sync.indexing import build_indexes
from rtsd.sync.limits import Limits
from rtsd.sync.mirrored_object import Loading, MirroredObject
from rtsd.sync.reading import Batch, Chunk, Point, Query, Reader, parts, retry_narrower
from rtsd.sync.repair import Repair
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork
from rtsd.sync.windows import Windows, window_cost

PURPOSE = "audit"
"""The purpose of its calls in the ledger."""
PAGE = 100_000
"""Rows per page of a Bulk result, and thus the most that are read again after a kill."""
CLOCK_MARGIN_MS = 2_000
"""Uncertainty of Salesforce's clock, which is known to about a second from the Date header."""
SETTLED_MS = 10_000
"""The age after which a created row has arrived, by push or window."""
PROOF_ATTEMPTS = 3
"""Comparisons of the counts, each after a window, before an object is incomplete."""

MAX_LISTED = 1_000
"""Ids listed in one journal entry."""
ACCEPTED = "an operator accepted that it is gone"

log = structlog.get_logger("rtsd.audit")


@dataclass(slots=True)
class _Reading:
    """A full read in progress."""

    reader: Reader
    progress: AuditProgress
    sweep: audits.SeenIds | None
    """The ids that were read, to find orphaned rows; None on the first read."""

    @property
    def mirrored(self) -> MirroredObject:
        """The object that is read."""
        return self.reader.mirrored


class StateAudit:
    """Runs state audits, which read all rows of an object."""

    def __init__(
        self,
        client: Client,
        database: Database,
        work: UnitsOfWork,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        *,
        windows: Windows,
        limits: Limits,
        columns: Columns,
        repair: Repair,
    ) -> None:
        self._client = client
        self._database = database
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._windows = windows
        self._limits = limits
        self._columns = columns
        self._repair = repair

    async def run(self, mirrored: MirroredObject, *, accept_missing: bool = False) -> None:
        """Read all rows of the object and the changes made meanwhile, and prove the result.

        `accept_missing` deletes the rows that the read did not return, however many. Raises the client's
        errors, after storing the reason in the object's state.
        """
        try:
            await self._limits.refresh(purpose=PURPOSE)
            await self._read(mirrored, accept_missing=accept_missing)
            await build_indexes(self._database, mirrored, self._now())
            await self._repair.step()
            await self.prove(mirrored)
        except QuotaExhausted as error:
            await object_states.defer(self._work, mirrored, error)
            raise
        except RtsError as error:
            await object_states.disprove(self._work, mirrored, str(error))
            raise
        finally:
            mirrored.loading = None

    async def prove(self, mirrored: MirroredObject) -> bool:
        """Fill empty columns, then read windows until the counts agree; return whether the object is live."""
        suspicions = mirrored.suspicions
        if suspicions.reread:
            await object_states.disprove(self._work, mirrored, f"it must be read again: {suspicions.reread}")
            return False
        if needs_full_read(mirrored) or mirrored.unchecked:
            return False
        await self._columns.fill(mirrored)
        expected = found = -1
        hindrance = mirrored.hindrance
        for attempt in range(PROOF_ATTEMPTS):
            window = await self._windows.step(mirrored)
            mirrored.retry.read_until = window.until
            if mirrored.retry.awaits_log:
                return False
            expected, found = await self._counts(mirrored, settled=attempt > 0)
            if expected == found and hindrance:
                break
            if expected == found and await object_states.proven(self._work, mirrored, until=window.until):
                return True
        if not is_plausible(found - expected, found):
            await object_states.guard_deletions(self._work, mirrored, found - expected, found)
            return False
        suspicions.vanished = 0
        reason = f"the org counts {plural(expected, 'row')}, the mirror has {found:,}"
        await object_states.disprove(self._work, mirrored, hindrance if expected == found else reason)
        return False

    async def _read(self, mirrored: MirroredObject, *, accept_missing: bool) -> None:
        """Read every row that exists at the start, or resume an interrupted read."""
        began = self._now()
        progress = await selection.resumable(self._database, mirrored.config)
        replaces = mirrored.loaded or await selection.is_over_rows(self._database, mirrored.config)
        sweep = audits.SeenIds(mirrored.name) if replaces else None
        if progress is None:
            progress = await self._begin(mirrored)
            await self._clear(sweep)
        await object_states.load_started(self._work, mirrored)
        mirrored.loading = Loading(progress.rows_read, self._now(), progress.rows_read)
        reading = _Reading(Reader(self._client, mirrored, PURPOSE), progress, sweep)
        await retry_narrower(mirrored, lambda: self._read_rows(reading))
        if sweep is not None:
            await departures.remove(
                reading.reader, self._database, self._work, seen=sweep, before=progress.started_at
            )
        await self._finish(reading, accept_missing=accept_missing)
        log.info("audit", object=mirrored.name, rows=mirrored.loading.rows, ms=self._now() - began)

    async def _clear(self, sweep: audits.SeenIds | None) -> None:
        """Clear the ids that were read."""
        if sweep is not None:
            async with self._database.transaction() as tx:
                await sweep.clear(tx)

    async def _finish(self, reading: _Reading, *, accept_missing: bool) -> None:
        """Set the cursor to the start of the read, and look up the rows that it did not return."""
        mirrored, progress, sweep = reading.mirrored, reading.progress, reading.sweep
        async with self._work.begin() as unit:
            since = to_iso(progress.started_at)
            await unit.store(
                mirrored,
                replace(
                    unit.stored(mirrored),
                    cursor=progress.started_at,
                    as_of=since,
                    formulas_as_of=since,
                    proven_at=progress.started_at,
                    checked_at=to_iso(self._now()),
                ),
            )
            await selection.finished(unit.tx, mirrored.config)
            unit.on_commit(mirrored.suspicions.fully_read)
            unit.on_commit(partial(mirrored.freshness.loaded, progress.started_at))
            await audits.finish(unit.tx, mirrored.name)
            if sweep is not None:
                orphans = await sweep.orphans(unit.tx, progress.started_at)
                await sweep.clear(unit.tx)
                if orphans:
                    await self._resolve_orphans(unit, mirrored, orphans, accept_missing=accept_missing)

    async def _resolve_orphans(
        self, unit: UnitOfWork, mirrored: MirroredObject, orphans: list[str], *, accept_missing: bool
    ) -> None:
        """Look up the rows of the mirror that a full read did not return, unless they are too many.

        If they are, the counts differ by as many, and the proof that follows invokes the deletion guard.
        """
        message = f"not visible in the org: {plural(len(orphans), 'row')} of the mirror"
        detail = {"orphaned": orphans[:MAX_LISTED]}
        await unit.note(Note("drift", mirrored.name, message=message, detail=detail))
        if accept_missing:
            now = self._server_clock.now()
            at = Version(to_iso(now // 1000 * 1000), now, now)
            await unit.apply(
                [
                    Change(mirrored.name, record_id, Operation.DELETE, Source.AUDIT, at, note=ACCEPTED)
                    for record_id in orphans
                ]
            )
        elif is_plausible(len(orphans), await mirror.count(self._database, mirrored.described)):
            await unit.fetch(mirrored, orphans, "the state audit did not find it in the org")

    async def _begin(self, mirrored: MirroredObject) -> AuditProgress:
        """Count the org's rows, which also yields Salesforce's time, and store the start of the read."""
        expected = await self._org_count(mirrored)
        left_out = await self._describe_filter(mirrored, expected)
        progress = AuditProgress(mirrored.name, self._server_clock.now() - CLOCK_MARGIN_MS)
        async with self._work.begin() as unit:
            await audits.save(unit.tx, progress)
            await selection.begun(self._database, unit.tx, mirrored.config)
            await unit.store(mirrored, replace(unit.stored(mirrored), expected_rows=expected))
            message = f"state audit begins: {plural(expected, 'row')} to read, {left_out}"
            await unit.note(Note("audit", mirrored.name, message=message, detail={"rows": expected}))
        return progress

    async def _describe_filter(self, mirrored: MirroredObject, expected: int) -> str:
        """Describe how many rows the filter excludes, so that the journal shows it."""
        if not mirrored.config.where:
            return "no filter"
        everything = await count_rows(self._client, mirrored.described.schema, purpose=PURPOSE)
        return f"{everything - expected} excluded by: {mirrored.config.where}"

    async def _select(self, reading: _Reading) -> Query:
        """Return a query of the columns that fit into one statement; the others are filled afterwards.

        A resumed job returns the columns that it was created with: all but those to fill.
        """
        mirrored = reading.mirrored
        if reading.progress.job is None and not reading.progress.last_id:
            first, *others = parts(mirrored)
            rest = tuple(name for part in others for name in part if name not in first)
            async with self._work.begin() as unit:
                await unit.store(mirrored, replace(unit.stored(mirrored), to_fill=rest))
        columns = [name for name in mirrored.described.columns if name not in mirrored.stored.to_fill]
        return Query(columns, mirrored.config.where)

    async def _read_rows(self, reading: _Reading) -> None:
        """Read by a Bulk job, or by REST pages if the Bulk API refuses the object."""
        query = await self._select(reading)
        point = await self._resume_point(reading, query)
        if point is None:
            await self._read_by_rest(reading, query)
        else:
            await self._read_by_bulk(reading, query, point)

    async def _resume_point(self, reading: _Reading, query: Query) -> Point | None:
        """Return the position in the last run's job, or in a new job, whose id is stored before the read."""
        progress = reading.progress
        if progress.job is not None:
            return Point(progress.job, progress.locator or "", progress.rows_read)
        point = await reading.reader.start_job(query)
        if point is not None:
            async with self._database.transaction() as tx:
                await audits.save(tx, replace(progress, job=point.job, locator="", rows_read=0))
        return point

    async def _read_by_bulk(self, reading: _Reading, query: Query, point: Point) -> None:
        """Stream the result of a Bulk job, storing after each page where to resume."""
        resumed = reading.progress.job is not None
        try:
            is_first = reading.sweep is None
            result = reading.reader.result(query, point, page_rows=PAGE, as_text=is_first)
            async with aclosing(result) as chunks:
                async for chunk in chunks:
                    if chunk.next_page is not None:
                        reading.progress = replace(
                            reading.progress, job=point.job, locator=chunk.next_page, rows_read=chunk.total
                        )
                    await self._store(reading, chunk)
        except BulkFailed as failure:
            await self._forget_job(reading)
            if not resumed:
                raise
            log.info("bulk job lost", object=reading.mirrored.name, reason=failure.message)
            await self._read_rows(reading)

    async def _forget_job(self, reading: _Reading) -> None:
        await self._clear(reading.sweep)
        reading.progress = AuditProgress(reading.mirrored.name, reading.progress.started_at)
        async with self._database.transaction() as tx:
            await audits.save(tx, reading.progress)

    async def _store(self, reading: _Reading, chunk: Chunk) -> None:
        """Store some rows, and with the last rows of a page the position at which to resume."""
        mirrored = reading.mirrored
        async with self._work.begin() as unit:
            known = chunk.rows  # in a later audit even new rows are applied, which journals them
            if not mirrored.loaded or isinstance(known, MaskedText):
                known = await unit.load(mirrored, known, Version("", *chunk.observed))
            batch = Batch(mirrored, list(known.records()), chunk.observed)
            await unit.apply(batch.changes(Source.AUDIT))
            if reading.sweep is not None and isinstance(chunk.rows, MaskedRows):
                await reading.sweep.add(unit.tx, chunk.rows.ids)
            if chunk.next_page is not None:
                await audits.save(unit.tx, reading.progress)
                await unit.note(self._progress(mirrored, chunk.total))
        if mirrored.loading:
            mirrored.loading.rows = chunk.total

    def _progress(self, mirrored: MirroredObject, rows: int) -> Note:
        loading, expected = mirrored.loading, mirrored.stored.expected_rows or 0
        rate = loading.rate(rows, self._now()) if loading else 0.0
        left = max(expected - rows, 0) / rate if rate else 0.0
        message = f"{rows:,} of {plural(expected, 'row')}, {rate:,.0f}/s, {left:.0f} s left"
        return Note("audit", mirrored.name, message=message, detail={"rows": rows, "expected": expected})

    async def _read_by_rest(self, reading: _Reading, query: Query) -> None:
        """Read by REST pages, storing after each one where to resume."""
        mirrored = reading.mirrored
        async with aclosing(reading.reader.rows(query, last_id=reading.progress.last_id)) as batches:
            async for batch in batches:
                changes = batch.changes(Source.AUDIT)
                if not changes:
                    return
                reading.progress = replace(
                    reading.progress,
                    last_id=changes[-1].id,
                    rows_read=reading.progress.rows_read + len(changes),
                )
                async with self._work.begin() as unit:
                    await unit.apply(changes, quietly=not mirrored.loaded)
                    if reading.sweep is not None:
                        await reading.sweep.add(unit.tx, (change.id for change in changes))
                    await audits.save(unit.tx, reading.progress)
                if mirrored.loading:
                    mirrored.loading.rows = reading.progress.rows_read

    async def _org_count(self, mirrored: MirroredObject, condition: str = "") -> int:
        where = soql.all_of(mirrored.config.where, condition)
        return await count_rows(self._client, mirrored.described.schema, where, purpose=PURPOSE)

    async def _counts(self, mirrored: MirroredObject, *, settled: bool) -> tuple[int, int]:
        """Return the org's count and the mirror's.

        In a busy org both keep changing. With `settled`, count only rows created at least `SETTLED_MS` ago:
        CreatedDate never changes, and few rows of that age are deleted or undeleted.
        """
        before = None
        if settled and "CreatedDate" in mirrored.described.schema.by_name:
            before = self._server_clock.now() // 1000 * 1000 - SETTLED_MS
        condition = soql.before("CreatedDate", before) if before else ""
        expected = await self._org_count(mirrored, condition)
        found = await mirror.count(self._database, mirrored.described, to_iso(before) if before else None)
        if before is None:
            async with self._work.begin() as unit:
                counted_at = to_iso(self._now())
                stored = replace(unit.stored(mirrored), expected_rows=expected, counted_at=counted_at)
                await unit.store(mirrored, stored)
        return expected, found


def proof_cost(mirrored: MirroredObject, rows: int = 0, matching: int = 0) -> Cost:
    """Return the cost of a proof: a window with so many rows, of which some match the filter, and a count."""
    return window_cost(mirrored, rows, matching) + Cost(api_calls=1)


def failed_proof_cost(mirrored: MirroredObject) -> Cost:
    """Return the cost of a proof that fails."""
    return sum([proof_cost(mirrored)] * PROOF_ATTEMPTS, Cost())


def needs_full_read(mirrored: MirroredObject) -> bool:
    """Return whether an object without stamps may have missed pushes, during a pause or an error.

    Only a full read finds its changes.
    """
    has_stamp = mirrored.described.schema.cursor is not None
    return mirrored.loaded and mirrored.state is ObjectState.PENDING and not has_stamp
