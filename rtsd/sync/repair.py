"""Fetching records by id: what a push left out, what contradicts the mirror, what an operator asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtsd.core.change import Change, Operation, Outcome, Source, Version
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.instant import Millis, to_iso
from rtsd.salesforce import soql
from rtsd.salesforce.client import MOST_IDS
from rtsd.salesforce.ledger import Observed
from rtsd.store import fetches, mirror, objects
from rtsd.store.journal import Note
from rtsd.sync import deletions, filters, width
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.deletion_guard import guard_deletions
from rtsd.sync.engine import Engine
from rtsd.sync.rows import DELETED, MASTER, from_record, read_columns

AT_ONCE = 200
"""Records in one transaction, so that pushes wait some ms; ids in one query, so that its URL is short."""
SETTLE_S = 0.25
"""How long ids are collected before they are fetched: one call for all that a burst of pushes named."""
FILTER_SETTLE_MS: Millis = 15_000
"""How long ids of a filtered object are collected: every push of one costs a question to the org."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What one step did."""

    fetched: int
    changed: int


class Repair:
    """Works off the list of records to fetch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def step(self, *, patiently: bool = False) -> Repaired:
        """Fetch what waits; return how many records, and how many of them were not as mirrored.

        `patiently` lets records of a filtered object wait for more of them: every push of one is asked
        for, so that collecting them is what keeps that cheap.
        """
        fetched = changed = 0
        more = True
        while more:
            more = False
            for name, waiting in (await fetches.waiting(self._engine.database)).items():
                mirrored = self._engine.catalog.find(name)
                if mirrored is None or mirrored.table is None:
                    continue
                if patiently and self._may_wait(mirrored, waiting[0][2]):
                    continue
                changed += await self._work_off(mirrored, [(one, at) for one, _, at in waiting])
                fetched += len(waiting)
                more |= len(waiting) == fetches.MAX_PENDING
        return Repaired(fetched, changed)

    def _may_wait(self, mirrored: MirroredObject, oldest: Millis) -> bool:
        return bool(mirrored.config.where) and self._engine.now() - oldest < FILTER_SETTLE_MS

    async def records(self, mirrored: MirroredObject, ids: Sequence[str], reason: str) -> Repaired:
        """Fetch these records now."""
        async with self._engine.unit_of_work() as unit:
            await unit.fetch(mirrored, ids, reason)
            await unit.note(Note("repair", mirrored.name, message=f"{len(ids)} records: {reason}"))
        return await self.step()

    async def _work_off(self, mirrored: MirroredObject, asked: Sequence[tuple[str, Millis]]) -> int:
        """Fetch records; those that did not come are judged together, when all is known."""
        changed = 0
        absent: list[tuple[str, Millis]] = []
        at_once = ids_at_once(mirrored)
        for start in range(0, len(asked), at_once):
            part = asked[start : start + at_once]
            found, observed = await self._read(mirrored, [one for one, _ in part])
            came = {change.id for change in found}
            if mirrored.config.where:
                found = await self._let_in(mirrored, found, observed)
            absent += [ask for ask in part if ask[0] not in came]
            kept = {change.id: change for change in found}
            for first in range(0, len(part), AT_ONCE):
                some = [ask for ask in part[first : first + AT_ONCE] if ask[0] in came]
                changed += await self._apply(mirrored, [kept[one] for one, _ in some if one in kept], some)
        if absent:
            changed += await self._judge_absent(mirrored, absent)
        return changed

    async def _let_in(
        self, mirrored: MirroredObject, found: Sequence[Change], observed: Observed
    ) -> list[Change]:
        """Those that the filter lets in; of the others, those that the mirror has leave it."""
        ids = [change.id for change in found]
        kept = await filters.matching(self._engine, mirrored, ids, "repair")
        own = await mirror.stamps_of(self._engine.database, mirrored.described, set(ids) - kept)
        changes = []
        for change in found:
            if change.id in kept:
                changes.append(change)
            elif change.id in own:
                departed = filters.departure(
                    mirrored, change.fields or {}, source=Source.REPAIR, seen=observed
                )
                changes.append(departed)
        return changes

    async def _read(self, mirrored: MirroredObject, ids: Sequence[str]) -> tuple[list[Change], Observed]:
        """The records as they are, by one call; those that are not there do not come."""
        table = mirrored.described
        answer = await width.fitting(
            mirrored,
            lambda: self._engine.client.retrieve(
                mirrored.name,
                ids,
                table.columns,
                purpose="repair",
                most_characters=mirrored.most_characters,
            ),
        )
        return [
            from_record(mirrored, table.schema, one, source=Source.REPAIR, seen=answer.observed)
            for one in answer.records
            if one is not None
        ], answer.observed

    async def _apply(
        self, mirrored: MirroredObject, changes: Sequence[Change], done: Sequence[tuple[str, Millis]]
    ) -> int:
        async with self._engine.unit_of_work() as unit:
            await fetches.done(unit.tx, mirrored.name, done)
            entries = await unit.apply(changes)
        return sum(1 for entry in entries if entry.note.outcome == Outcome.APPLIED)

    async def _judge_absent(self, mirrored: MirroredObject, asked: Sequence[tuple[str, Millis]]) -> int:
        """Records that did not come: in the bin, deleted for good, or only out of sight.

        The recycle bin and the delete log are evidence. What neither knows is taken for deleted while it
        is little; when much vanishes at once nothing is deleted, and the object says so.
        """
        own = await mirror.stamps_of(self._engine.database, mirrored.described, [one for one, _ in asked])
        deleted: list[Change] = []
        gone: dict[str, Millis] = {}
        observed = None
        for start in range(0, len(asked), AT_ONCE):
            part = dict(asked[start : start + AT_ONCE])
            found, observed = await self._from_bin(mirrored, list(part))
            deleted += [row for row in found if row.operation is Operation.DELETE]
            gone |= {one: at for one, at in part.items() if one not in {row.id for row in found}}
        if gone and observed is not None:
            logged = await self._from_delete_log(mirrored, gone)
            vanished = gone.keys() - {change.id for change in logged}
            rows = (await objects.row_counts(self._engine.database)).get(mirrored.name, 0)
            lost = len(vanished & own.keys())
            if not is_plausible(mirrored.unexplained + lost, rows):
                # They are not asked for again: that would cost calls for ever, and tell nothing new.
                await guard_deletions(self._engine, mirrored, mirrored.unexplained + lost, rows)
            else:
                mirrored.unexplained += lost
                at = Version(to_iso((observed.until - 1000) // 1000 * 1000), *observed)
                deleted += [
                    Change(mirrored.name, one, Operation.DELETE, Source.REPAIR, at)
                    for one in sorted(vanished)
                ]
            deleted += logged
        return await self._apply(mirrored, deleted, asked)

    async def _from_bin(self, mirrored: MirroredObject, ids: Sequence[str]) -> tuple[list[Change], Observed]:
        schema = mirrored.described.schema
        columns = [name for name in read_columns(schema) if name in ("Id", schema.cursor, DELETED, MASTER)]
        statement = soql.select(columns, mirrored.name, soql.one_of("Id", ids))
        page = await self._engine.client.query(statement, purpose="repair", all_rows=True)
        return [
            from_record(mirrored, schema, one, source=Source.REPAIR, seen=page.observed)
            for one in page.records
        ], page.observed

    async def _from_delete_log(self, mirrored: MirroredObject, ids: Mapping[str, Millis]) -> list[Change]:
        """Those of the records that the delete log names.

        It reaches back 15 days (REST API guide, sObject Get Deleted).
        """
        log = await deletions.read(self._engine, mirrored, 0, self._engine.salesforce_now(), purpose="repair")
        return [
            Change(mirrored.name, one, Operation.DELETE, Source.REPAIR, Version(to_iso(at), *log.observed))
            for one, at in (log.records if log else ())
            if log and one in ids
        ]


def ids_at_once(mirrored: MirroredObject) -> int:
    """How many records one call fetches: wide rows make its answer large."""
    return min(MOST_IDS, width.chunk_rows(len(mirrored.described.columns)))
