"""Narrow reads: some columns of every row, to fill new ones or to refresh formulas."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from rtsd.core.instant import to_iso
from rtsd.errors import BulkRefused
from rtsd.salesforce import bulk, soql
from rtsd.store import dead_letters, inbox
from rtsd.store.dead_letters import UNKNOWN_FIELD
from rtsd.store.journal import Note
from rtsd.sync import width
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.engine import Engine

log = structlog.get_logger("rtsd.columns")


class Columns:
    """Reads Id, stamp and a few columns; a row that has changed meanwhile brings them itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def fill(self, mirrored: MirroredObject) -> None:
        """Fill the columns that are empty in old rows, as many at a time as one query takes.

        Raises what the client raises; what is filled by then need not be filled again.
        """
        while mirrored.to_fill:
            await width.fitting(mirrored, lambda: self._fill_some(mirrored))

    async def _fill_some(self, mirrored: MirroredObject) -> None:
        """Fill the first of the empty columns, those that fit into one query."""
        known = mirrored.described.schema.by_name
        wanted = [name for name in mirrored.to_fill if name in known]
        some = next(soql.column_chunks(wanted, most_characters=mirrored.most_characters, always=()))
        rows = await self._read(mirrored, some, "schema") if some else 0
        left = tuple(name for name in mirrored.to_fill if name in known and name not in some)
        async with self._engine.unit_of_work() as unit:
            await self._engine.catalog.update(unit.tx, mirrored, to_fill=left)
            # pushes that came before their column was there are judged again
            letters = await dead_letters.take(unit.tx, mirrored.name, UNKNOWN_FIELD)
            await inbox.requeue(unit.tx, self._engine.now(), letters)
            message = f"columns filled in {rows} rows: {', '.join(some)}"
            await unit.note(Note("schema", mirrored.name, message=message))

    async def refresh(self, mirrored: MirroredObject) -> None:
        """Read the formula fields, and those that behave like them, again for every row."""
        began = to_iso(self._engine.salesforce_now())
        columns = mirrored.drifting
        changed = await self._read(mirrored, columns, "formula") if columns else 0
        async with self._engine.unit_of_work() as unit:
            await self._engine.catalog.update(unit.tx, mirrored, formulas_as_of=began)
            message = f"formula fields refreshed: {changed} rows differed"
            await unit.note(Note("repair", mirrored.name, source="audit", message=message))

    async def reread(self, mirrored: MirroredObject, columns: Sequence[str]) -> int:
        """Read these columns of every row again; return in how many rows they differed."""
        return await width.fitting(mirrored, lambda: self._reread(mirrored, columns))

    async def _reread(self, mirrored: MirroredObject, columns: Sequence[str]) -> int:
        changed = 0
        for some in soql.column_chunks(columns, most_characters=mirrored.most_characters, always=()):
            changed += await self._read(mirrored, some, "repair")
        return changed

    async def _read(self, mirrored: MirroredObject, columns: Sequence[str], purpose: str) -> int:
        """Read the columns of every row; return in how many they differed."""
        stamp = mirrored.described.schema.cursor or "Id"
        selected = list(dict.fromkeys(("Id", stamp, *columns)))
        statement = soql.select(selected, mirrored.name, mirrored.config.where)
        try:
            return await self._read_by_bulk(mirrored, columns, statement, purpose)
        except BulkRefused as refusal:
            log.info("bulk refused", object=mirrored.name, reason=refusal.message)
            return await self._read_by_rest(mirrored, columns, selected, purpose)

    async def _read_by_bulk(
        self, mirrored: MirroredObject, columns: Sequence[str], statement: str, purpose: str
    ) -> int:
        stamp = mirrored.described.schema.cursor or "Id"
        changed = 0
        async with bulk.job(self._engine.client, statement, purpose=purpose) as job:
            async for part in job.rows(width.chunk_rows(len(job.columns))):
                places = [part.columns.index(name) for name in ("Id", stamp, *columns)]
                rows = [[row[place] for place in places] for row in part.rows]
                changed += await self._store(mirrored, columns, rows)
        return changed

    async def _read_by_rest(
        self, mirrored: MirroredObject, columns: Sequence[str], selected: Sequence[str], purpose: str
    ) -> int:
        stamp = mirrored.described.schema.cursor or "Id"
        changed, last_id = 0, ""
        while True:
            where = soql.all_of(mirrored.config.where, soql.after_id(last_id))
            statement = soql.select(selected, mirrored.name, where, order_by="Id", limit=width.REST_PAGE)
            page = await self._engine.client.query(statement, purpose=purpose)
            if not page.records:
                return changed
            rows = [[_cell(one.get(name)) for name in ("Id", stamp, *columns)] for one in page.records]
            changed += await self._store(mirrored, columns, rows)
            last_id = rows[-1][0]

    async def _store(self, mirrored: MirroredObject, columns: Sequence[str], rows: list[list[str]]) -> int:
        async with self._engine.unit_of_work() as unit:
            return await self._engine.applier.refresh(unit.tx, mirrored, columns, rows)


def _cell(value: object) -> str:
    """A JSON value as the Bulk API would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
