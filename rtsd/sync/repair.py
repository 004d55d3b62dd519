"""Fetching records by id: what a push left out, what contradicts the mirror, what an operator asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtsd.core.change import Change, Operation, Outcome, Source, Version
from rtsd.core.instant import Millis, to_iso
from rtsd.salesforce import soql
from rtsd.store import fetches
from rtsd.store.journal import Note
from rtsd.sync.catalog import Mirrored
from rtsd.sync.engine import Engine
from rtsd.sync.rows import DELETED, MASTER, from_record, read_columns

AT_ONCE = 200
"""Ids in one call; wide rows make the answers large."""
SETTLE_S = 0.25
"""How long ids are collected before they are fetched: one call for all that a burst of pushes named."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What one step did."""

    fetched: int
    changed: int


class Repair:
    """Works off the list of records to fetch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def step(self) -> Repaired:
        """Fetch what waits; return how many records, and how many of them were not as mirrored."""
        fetched = changed = 0
        for name, waiting in (await fetches.waiting(self._engine.database)).items():
            mirrored = self._engine.catalog.find(name)
            if mirrored is None or mirrored.table is None:
                continue
            for start in range(0, len(waiting), AT_ONCE):
                part = waiting[start : start + AT_ONCE]
                changed += await self._fetch(mirrored, [(one, at) for one, _, at in part])
                fetched += len(part)
        return Repaired(fetched, changed)

    async def records(self, mirrored: Mirrored, ids: Sequence[str], reason: str) -> Repaired:
        """Fetch these records now."""
        at = self._engine.now()
        async with self._engine.writing() as writing:
            await fetches.ask(writing.tx, mirrored.name, [(one, reason) for one in ids], at)
            await writing.note(Note("repair", mirrored.name, message=f"{len(ids)} records: {reason}"))
        return await self.step()

    async def _fetch(self, mirrored: Mirrored, asked: Sequence[tuple[str, Millis]]) -> int:
        table = mirrored.described
        ids = [record_id for record_id, _ in asked]
        answer = await self._engine.client.retrieve(mirrored.name, ids, table.columns, purpose="repair")
        found = [
            from_record(mirrored, table.schema, record, source=Source.REPAIR, seen=answer.observed)
            for record in answer.records
            if record is not None
        ]
        absent = [one for one, record in zip(ids, answer.records, strict=True) if record is None]
        found += await self._absent(mirrored, absent) if absent else []
        async with self._engine.writing() as writing:
            await fetches.done(writing.tx, mirrored.name, asked)
            entries = await writing.apply(found)
        return sum(1 for entry in entries if entry.note.outcome == Outcome.APPLIED)

    async def _absent(self, mirrored: Mirrored, ids: Sequence[str]) -> list[Change]:
        """Why records did not come: the recycle bin tells, or they are gone for good."""
        schema = mirrored.described.schema
        columns = [name for name in read_columns(schema) if name in ("Id", schema.cursor, DELETED, MASTER)]
        statement = soql.select(columns, mirrored.name, soql.one_of("Id", ids))
        page = await self._engine.client.query(statement, purpose="repair", all_rows=True)
        rows = [
            from_record(mirrored, schema, record, source=Source.REPAIR, seen=page.observed)
            for record in page.records
        ]
        gone_at = Version(to_iso((page.observed.until - 1000) // 1000 * 1000), *page.observed)
        gone = set(ids) - {row.id for row in rows}
        return [row for row in rows if row.operation is Operation.DELETE] + [
            Change(mirrored.name, one, Operation.DELETE, Source.REPAIR, gone_at) for one in sorted(gone)
        ]
