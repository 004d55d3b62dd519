"""Repair: fetches records by id, for incomplete pushes, contradictions and operators."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from rtsd.core.change import NEVER, Change, Operation, Outcome, Source, Version
from rtsd.core.completion_pace import CompletionPace
from rtsd.core.cost import Cost
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.instant import Millis, to_iso
from rtsd.core.object_state import ObjectState
from rtsd.core.plural import plural
from rtsd.core.server_clock import ServerClock
from rtsd.salesforce import soql
from rtsd.salesforce.client import MAX_IDS, Client
from rtsd.salesforce.ledger import Observed
from rtsd.services import Service
from rtsd.store import fetches, mirror, objects
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync import deletions, filters, object_states
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.mode import ModeMachine
from rtsd.sync.reading import Query, Reader, chunk_rows, parts
from rtsd.sync.rows import DELETED, MASTER, read_columns
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.unit_of_work import UnitsOfWork

PURPOSE = "repair"
"""The purpose of its calls in the ledger."""
AT_ONCE = 200
"""Records per transaction, to delay pushes by only a few ms; ids per query, to keep its URL short."""
SETTLE_S = 0.25
"""Seconds to collect ids before they are fetched, so that one call serves a burst of pushes."""
PAUSE_S = 5.0
"""Seconds between steps, for filtered objects whose ids are still being collected."""
FILTER_SETTLE_MS: Millis = 15_000
"""The time to collect ids of a filtered object, as otherwise every push of one would cost a query."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The numbers of records that a step fetched, and that differed from the mirror."""

    fetched: int
    changed: int


class Repair:
    """Fulfils the requests to fetch records."""

    def __init__(
        self,
        client: Client,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        schedule: CurrentSchedule,
        by_events: bool = False,
    ) -> None:
        """`by_events`: changes come by change events, of which any number may name a record and no more."""
        self._by_events = by_events
        self._client = client
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._schedule = schedule
        self._paces = defaultdict[str, CompletionPace](CompletionPace)

    async def step(self, *, patiently: bool = False) -> Repaired:
        """Fetch the requested records.

        With `patiently`, first collect ids where that saves calls: of filtered objects for
        `FILTER_SETTLE_MS`, and of partial rows, or all that change events ask for, at their pace.
        """
        fetched = changed = 0
        more = True
        while more:
            more = False
            for name, waiting in (await fetches.waiting(self._database)).items():
                mirrored = self._catalog.find(name)
                if mirrored is None or mirrored.table is None or mirrored.state is ObjectState.ERROR:
                    continue
                if patiently and self._may_wait(mirrored, waiting):
                    continue
                changed += await self._fetch(mirrored, waiting.asked)
                self._paces[name].read(self._now())
                fetched += len(waiting.asked)
                more |= len(waiting.asked) == fetches.MAX_PENDING
        return Repaired(fetched, changed)

    async def complete(self, mirrored: MirroredObject) -> None:
        """Complete the partial rows of an object now, if nothing else of it waits to be fetched."""
        waiting = (await fetches.waiting(self._database)).get(mirrored.name)
        while waiting is not None and waiting.only_completes:
            await self._fetch(mirrored, waiting.asked)
            waiting = (await fetches.waiting(self._database)).get(mirrored.name)

    def _may_wait(self, mirrored: MirroredObject, waiting: fetches.Waiting) -> bool:
        """Return whether requests may wait for others, so that one call serves them all."""
        if len(waiting.asked) == fetches.MAX_PENDING:
            return False
        now, oldest = self._now(), waiting.asked[0][1]
        if waiting.only_completes or self._by_events:
            return not self._paces[mirrored.name].is_due(now, self._schedule().interval)
        return bool(mirrored.config.where) and now - oldest < FILTER_SETTLE_MS

    async def records(self, mirrored: MirroredObject, ids: Sequence[str], reason: str) -> Repaired:
        """Fetch these records now."""
        async with self._work.begin() as unit:
            await unit.fetch(mirrored, ids, reason)
            await unit.note(Note("repair", mirrored.name, message=f"{plural(len(ids), 'record')}: {reason}"))
        return await self.step()

    async def _fetch(self, mirrored: MirroredObject, asked: Sequence[tuple[str, Millis]]) -> int:
        """Fetch records requested as (id, requested at); return how many differed from the mirror.

        Missing records are resolved together at the end, as the deletion guard needs their total.
        """
        changed = 0
        absent: list[tuple[str, Millis]] = []
        at_once = ids_at_once(mirrored)
        reader = Reader(self._client, mirrored, PURPOSE)
        for start in range(0, len(asked), at_once):
            part = asked[start : start + at_once]
            ids = [record_id for record_id, _ in part]
            expected = await mirror.versions(self._database, mirrored.described, ids)
            batch = await reader.retrieve(ids)
            found = batch.changes(Source.REPAIR)
            received = {change.id for change in found}
            if mirrored.config.where:
                found = await self._apply_filter(reader, found, batch.observed)
            absent += [ask for ask in part if ask[0] not in received]
            kept = {change.id: change for change in _expecting(expected, found)}
            for first in range(0, len(part), AT_ONCE):
                some = [ask for ask in part[first : first + AT_ONCE] if ask[0] in received]
                changes = [kept[record_id] for record_id, _ in some if record_id in kept]
                changed += await self._apply(mirrored, changes, some)
        if absent:
            changed += await self._resolve_absent(reader, absent)
        return changed

    async def _apply_filter(
        self, reader: Reader, found: Sequence[Change], observed: Observed
    ) -> list[Change]:
        """Return the changes that pass the filter, and deletions of mirrored records that do not."""
        mirrored, ids = reader.mirrored, [change.id for change in found]
        kept = await filters.matching(reader, ids)
        own = await mirror.stamps_of(self._database, mirrored.described, set(ids) - kept)
        changes = []
        for change in found:
            if change.id in kept:
                changes.append(change)
            elif change.id in own:
                changes.append(filters.removal(mirrored, change.fields or {}, Source.REPAIR, observed))
        return changes

    async def _apply(
        self, mirrored: MirroredObject, changes: Sequence[Change], done: Sequence[tuple[str, Millis]]
    ) -> int:
        async with self._work.begin() as unit:
            await fetches.done(unit.tx, mirrored.name, done)
            entries = await unit.apply(changes)
        return sum(1 for entry in entries if entry.note.outcome == Outcome.APPLIED)

    async def _resolve_absent(self, reader: Reader, asked: Sequence[tuple[str, Millis]]) -> int:
        """Resolve records that Salesforce did not return: deleted, hard-deleted, or only hidden.

        The recycle bin and the delete log are evidence of a deletion. A few records without evidence count as
        deleted. If there are too many, the deletion guard keeps them. Return the number of changed records.
        """
        mirrored = reader.mirrored
        ids = [record_id for record_id, _ in asked]
        own = await mirror.stamps_of(self._database, mirrored.described, ids)
        expected = await mirror.versions(self._database, mirrored.described, ids)
        deleted: list[Change] = []
        gone: dict[str, Millis] = {}
        observed, taken = None, 0
        for start in range(0, len(asked), AT_ONCE):
            part = dict(asked[start : start + AT_ONCE])
            found, observed = await self._from_bin(reader, list(part))
            deleted += [row for row in found if row.operation is Operation.DELETE]
            seen = {row.id for row in found}
            gone |= {record_id: at for record_id, at in part.items() if record_id not in seen}
        if gone and observed is not None:
            logged = await self._from_delete_log(mirrored, gone)
            vanished = gone.keys() - {change.id for change in logged}
            rows = (await objects.row_counts(self._database)).get(mirrored.name, 0)
            lost = len(vanished & own.keys())
            unexplained = mirrored.suspicions.unexplained + lost
            if not is_plausible(unexplained, rows):
                # Drop the requests: repeating them forever would cost calls and show nothing new.
                await object_states.guard_deletions(self._work, mirrored, unexplained, rows)
            else:
                taken = lost
                at = Version(to_iso((observed.until - 1000) // 1000 * 1000), *observed)
                deleted += [
                    Change(mirrored.name, record_id, Operation.DELETE, Source.REPAIR, at)
                    for record_id in sorted(vanished)
                ]
            deleted += logged
        changed = await self._apply(mirrored, _expecting(expected, deleted), asked)
        mirrored.suspicions.unexplained += taken
        return changed

    async def _from_bin(self, reader: Reader, ids: Sequence[str]) -> tuple[list[Change], Observed]:
        """Return the records that queryAll still reads, deleted or not, and the time of the read."""
        schema = reader.mirrored.described.schema
        columns = [name for name in read_columns(schema) if name in ("Id", schema.cursor, DELETED, MASTER)]
        query = Query(columns, soql.one_of("Id", ids), all_rows=True)
        batches = [batch async for batch in reader.rows(query)]
        return [change for batch in batches for change in batch.changes(Source.REPAIR)], batches[-1].observed

    async def _from_delete_log(self, mirrored: MirroredObject, ids: Mapping[str, Millis]) -> list[Change]:
        """Return the logged deletions of these records."""
        window = deletions.retained(0, self._server_clock.now())
        logged = await deletions.read(self._client, mirrored, window, source=Source.REPAIR, purpose=PURPOSE)
        return [change for change in logged.changes if change.id in ids] if logged else []


class RepairService(Service):
    """Fetches requested records, all those of a burst of pushes together."""

    name = "repair"

    def __init__(self, repair: Repair, mode: ModeMachine, fetch_wanted: asyncio.Event) -> None:
        super().__init__(fetch_wanted)
        self._mode = mode
        self._repair = repair

    async def step(self) -> float:
        """Wait for the rest of a burst, then fetch."""
        if not self._mode.is_paused:
            await asyncio.sleep(SETTLE_S)
            await self._repair.step(patiently=True)
        return PAUSE_S


def _expecting(expected: Mapping[str, Version], changes: Sequence[Change]) -> list[Change]:
    """Return the changes with the versions that the mirror had when their read began."""
    return [replace(change, expected=expected.get(change.id, NEVER)) for change in changes]


def ids_at_once(mirrored: MirroredObject) -> int:
    """Return the number of records to fetch per call, fewer for wide rows to limit the response's size."""
    return min(MAX_IDS, chunk_rows(len(mirrored.described.columns)))


def fetch_cost(mirrored: MirroredObject, records: int, gone: int = 0) -> Cost:
    """Return the cost of fetching records by id, of which `gone` are not in the org any more.

    The recycle bin is asked for these, and the delete log.
    """
    chunks = [
        chunk
        for batch in _split(records, fetches.MAX_PENDING)
        for chunk in _split(batch, ids_at_once(mirrored))
    ]
    calls = len(chunks) * len(parts(mirrored))
    if mirrored.config.where:
        calls += sum(len(_split(chunk, filters.AT_ONCE)) for chunk in chunks)
    logs = len(_split(gone, fetches.MAX_PENDING)) * deletions.log_cost(mirrored).api_calls
    return Cost(api_calls=calls + len(_split(gone, AT_ONCE)) + logs)


def _split(number: int, at_once: int) -> list[int]:
    """Split a number into parts of at most `at_once`."""
    return [min(at_once, number - start) for start in range(0, number, at_once)]
