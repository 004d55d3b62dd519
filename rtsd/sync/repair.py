"""Fetching records by id, for incomplete pushes, contradictions and operators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rtsd.core.change import Change, Operation, Outcome, Source, Version
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.instant import Millis, to_iso
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
from rtsd.sync.reading import Query, Reader, chunk_rows
from rtsd.sync.rows import DELETED, MASTER, read_columns
from rtsd.sync.unit_of_work import UnitsOfWork

PURPOSE = "repair"
"""The purpose of every call in the ledger."""
AT_ONCE = 200
"""Records in one transaction, so that pushes wait a few ms; ids in one query, so that its URL is short."""
SETTLE_S = 0.25
"""Time to collect ids before they are fetched: one call for all that a burst of pushes named."""
PAUSE_S = 5.0
"""Seconds between two rounds, for records of filtered objects that wait for more of them."""
FILTER_SETTLE_MS: Millis = 15_000
"""Time to collect ids of a filtered object: every push of one costs a query."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The result of one step."""

    fetched: int
    changed: int


class Repair:
    """Works off the list of records to fetch."""

    def __init__(
        self,
        client: Client,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
    ) -> None:
        self._client = client
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._server_clock = server_clock

    async def step(self, *, patiently: bool = False) -> Repaired:
        """Fetch the waiting records; return how many they were, and how many differed from the mirror.

        `patiently` lets records of a filtered object wait for more of them: every push of one takes a
        query, so collecting them saves calls.
        """
        fetched = changed = 0
        more = True
        while more:
            more = False
            for name, waiting in (await fetches.waiting(self._database)).items():
                mirrored = self._catalog.find(name)
                if mirrored is None or mirrored.table is None:
                    continue
                if patiently and self._may_wait(mirrored, waiting[0][2]):
                    continue
                changed += await self._work_off(mirrored, [(record_id, at) for record_id, _, at in waiting])
                fetched += len(waiting)
                more |= len(waiting) == fetches.MAX_PENDING
        return Repaired(fetched, changed)

    def _may_wait(self, mirrored: MirroredObject, oldest: Millis) -> bool:
        return bool(mirrored.config.where) and self._now() - oldest < FILTER_SETTLE_MS

    async def records(self, mirrored: MirroredObject, ids: Sequence[str], reason: str) -> Repaired:
        """Fetch these records now."""
        async with self._work.begin() as unit:
            await unit.fetch(mirrored, ids, reason)
            await unit.note(Note("repair", mirrored.name, message=f"{len(ids)} records: {reason}"))
        return await self.step()

    async def _work_off(self, mirrored: MirroredObject, asked: Sequence[tuple[str, Millis]]) -> int:
        """Fetch records; decide together about those that did not come."""
        changed = 0
        absent: list[tuple[str, Millis]] = []
        at_once = ids_at_once(mirrored)
        reader = Reader(self._client, mirrored, PURPOSE)
        for start in range(0, len(asked), at_once):
            part = asked[start : start + at_once]
            batch = await reader.retrieve([record_id for record_id, _ in part])
            found = batch.changes(Source.REPAIR)
            came = {change.id for change in found}
            if mirrored.config.where:
                found = await self._let_in(reader, found, batch.observed)
            absent += [ask for ask in part if ask[0] not in came]
            kept = {change.id: change for change in found}
            for first in range(0, len(part), AT_ONCE):
                some = [ask for ask in part[first : first + AT_ONCE] if ask[0] in came]
                standing = [kept[record_id] for record_id, _ in some if record_id in kept]
                changed += await self._apply(mirrored, standing, some)
        if absent:
            changed += await self._judge_absent(reader, absent)
        return changed

    async def _let_in(self, reader: Reader, found: Sequence[Change], observed: Observed) -> list[Change]:
        """Changes that pass the filter, and departures of mirrored records that do not."""
        mirrored, ids = reader.mirrored, [change.id for change in found]
        kept = await filters.matching(reader, ids)
        own = await mirror.stamps_of(self._database, mirrored.described, set(ids) - kept)
        changes = []
        for change in found:
            if change.id in kept:
                changes.append(change)
            elif change.id in own:
                changes.append(filters.departure(mirrored, change.fields or {}, Source.REPAIR, observed))
        return changes

    async def _apply(
        self, mirrored: MirroredObject, changes: Sequence[Change], done: Sequence[tuple[str, Millis]]
    ) -> int:
        async with self._work.begin() as unit:
            await fetches.done(unit.tx, mirrored.name, done)
            entries = await unit.apply(changes)
        return sum(1 for entry in entries if entry.note.outcome == Outcome.APPLIED)

    async def _judge_absent(self, reader: Reader, asked: Sequence[tuple[str, Millis]]) -> int:
        """Decide about records that did not come: in the bin, deleted for good, or only hidden.

        The recycle bin and the delete log are evidence. Records that neither knows count as deleted while
        they are few; when many vanish at once nothing is deleted, and the object says so.
        """
        mirrored = reader.mirrored
        ids = [record_id for record_id, _ in asked]
        own = await mirror.stamps_of(self._database, mirrored.described, ids)
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
                # Not fetched again: that would cost calls without end, and show nothing new.
                await object_states.guard_deletions(self._work, mirrored, unexplained, rows)
            else:
                taken = lost
                at = Version(to_iso((observed.until - 1000) // 1000 * 1000), *observed)
                deleted += [
                    Change(mirrored.name, record_id, Operation.DELETE, Source.REPAIR, at)
                    for record_id in sorted(vanished)
                ]
            deleted += logged
        changed = await self._apply(mirrored, deleted, asked)
        mirrored.suspicions.unexplained += taken
        return changed

    async def _from_bin(self, reader: Reader, ids: Sequence[str]) -> tuple[list[Change], Observed]:
        """The records that can still be read, deleted or not, and when they were read."""
        schema = reader.mirrored.described.schema
        columns = [name for name in read_columns(schema) if name in ("Id", schema.cursor, DELETED, MASTER)]
        query = Query(columns, soql.one_of("Id", ids), all_rows=True)
        batches = [batch async for batch in reader.rows(query)]
        return [change for batch in batches for change in batch.changes(Source.REPAIR)], batches[-1].observed

    async def _from_delete_log(self, mirrored: MirroredObject, ids: Mapping[str, Millis]) -> list[Change]:
        """Deletions of these records that the delete log names."""
        window = deletions.kept(0, self._server_clock.now())
        logged = await deletions.read(self._client, mirrored, window, source=Source.REPAIR, purpose=PURPOSE)
        return [change for change in logged.changes if change.id in ids] if logged else []


class Repairing(Service):
    """Fetches records that are asked for, all that a burst of pushes names together."""

    name = "repair"

    def __init__(self, repair: Repair, mode: ModeMachine, fetch_wanted: asyncio.Event) -> None:
        super().__init__(fetch_wanted)
        self._mode = mode
        self._repair = repair

    async def step(self) -> float:
        """Let a burst settle, then fetch."""
        if not self._mode.is_paused:
            await asyncio.sleep(SETTLE_S)
            await self._repair.step(patiently=True)
        return PAUSE_S


def ids_at_once(mirrored: MirroredObject) -> int:
    """Records that one call fetches: wide rows make its answer large."""
    return min(MAX_IDS, chunk_rows(len(mirrored.described.columns)))
