"""Reads of a few columns of every row, to fill new columns or to refresh formulas."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from rtsd.core.instant import to_iso
from rtsd.core.plural import plural
from rtsd.core.privacy import csv_rows
from rtsd.core.server_clock import ServerClock
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.store import dead_letters, held, past, row_checksums
from rtsd.store.dead_letters import UNKNOWN_FIELD
from rtsd.store.journal import Note
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import Query, Reader, retry_narrower
from rtsd.sync.unit_of_work import UnitsOfWork

REFRESH = "formula"
"""The purpose of the calls that refresh formulas."""


class Columns:
    """Reads Id, stamp and a few columns; leaves rows alone that have changed meanwhile."""

    def __init__(self, client: Client, work: UnitsOfWork, server_clock: ServerClock) -> None:
        self._client = client
        self._work = work
        self._server_clock = server_clock

    async def fill(self, mirrored: MirroredObject) -> None:
        """Fill the columns that are empty in old rows, as many at a time as fit into one query.

        Raises the client's errors; columns filled until then stay filled.
        """
        while mirrored.stored.to_fill:
            await retry_narrower(mirrored, lambda: self._fill_some(mirrored))

    async def _fill_some(self, mirrored: MirroredObject) -> None:
        """Fill as many of the empty columns as fit into one query."""
        known = mirrored.described.schema.by_name
        wanted = [name for name in mirrored.stored.to_fill if name in known]
        some = next(soql.column_chunks(wanted, max_characters=mirrored.learned.max_characters, always=()))
        rows = await self._read(mirrored, some, "schema") if some else 0
        async with self._work.begin() as unit:
            stored = unit.stored(mirrored)
            left = tuple(name for name in stored.to_fill if name in known and name not in some)
            await unit.store(mirrored, replace(stored, to_fill=left))
            # apply pushes again that arrived before their column existed
            letters = await dead_letters.take(unit.tx, mirrored.name, UNKNOWN_FIELD)
            again = [(f"again-{letter_id}", body) for letter_id, body in letters]
            await held.requeue(unit.tx, unit.now(), again)
            await past.learned(unit.tx, mirrored.name, some, to_iso(unit.now()))
            message = f"columns filled in {plural(rows, 'row')}: {', '.join(some)}"
            await unit.note(Note("schema", mirrored.name, message=message))

    async def refresh(self, mirrored: MirroredObject) -> None:
        """Reread formula fields, and fields that behave like them, of every row."""
        began = to_iso(self._server_clock.now())
        columns = mirrored.drifting
        changed = await self._read(mirrored, columns, REFRESH) if columns else 0
        async with self._work.begin() as unit:
            await unit.store(mirrored, replace(unit.stored(mirrored), formulas_as_of=began))
            message = f"formula fields refreshed: {plural(changed, 'row')} differed"
            await unit.note(Note("repair", mirrored.name, source="audit", message=message))

    async def reread(self, mirrored: MirroredObject, columns: Sequence[str]) -> int:
        """Reread these columns of every row; return the number of rows that differed."""
        return await retry_narrower(mirrored, lambda: self._reread(mirrored, columns))

    async def _reread(self, mirrored: MirroredObject, columns: Sequence[str]) -> int:
        changed = 0
        for some in soql.column_chunks(columns, max_characters=mirrored.learned.max_characters, always=()):
            changed += await self._read(mirrored, some, "repair")
        return changed

    async def _read(self, mirrored: MirroredObject, columns: Sequence[str], purpose: str) -> int:
        """Read the columns of every row; return the number of rows that differed."""
        names = ("Id", mirrored.described.schema.cursor or "Id", *columns)
        query = Query(list(dict.fromkeys(names)), mirrored.config.where)
        reader, changed = Reader(self._client, mirrored, purpose), 0
        async with aclosing(reader.rows(query, bulk_after=0)) as batches:
            async for batch in batches:
                async with self._work.begin() as unit:
                    rows = csv_rows(batch.records, names)
                    differing = await unit.refresh(mirrored, rows)
                    if differing and purpose != REFRESH:  # checksums leave out what is refreshed
                        await row_checksums.forget_in(unit.tx, mirrored.name)
                    changed += differing
        return changed
