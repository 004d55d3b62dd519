"""Loads of CSV text by SQLite itself, which reads, converts and inserts rows without Python and its GIL."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain

from rtsd.core.change import Source, Version
from rtsd.core.privacy import MaskedText
from rtsd.core.schema import Kind
from rtsd.store.database import Tx
from rtsd.store.schema import OWN_COLUMNS, Table
from rtsd.store.sqlite.dialect import FROM_CSV
from rtsd.store.sqlite.library import IntegrityError

_ROWS_AT_ONCE = 32
"""Rows per INSERT of a load, which takes tenths of a millisecond."""
_MAX_PARAMETERS = 32_000
"""Parameters per statement; SQLite's limit is 32,766 (sqlite.org/limits.html)."""
_WITHOUT_OFFSET = {**FROM_CSV, Kind.DATETIME: "NULLIF({},'')"}
"""Conversions where no time ends with +0000, whose replacement takes a tenth of a load."""


class CsvLoader:
    """Inserts CSV text from a file in memory, which each load overwrites."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._is_available: bool | None = None

    async def load_text(self, tx: Tx, table: Table, text: MaskedText, version: Version) -> bool:
        """Insert the rows; return False, with nothing inserted, if not all of them can be.

        They can't without the extension, nor if a row's id is known or deleted, or its width is wrong.
        """
        if not await self._available(tx):
            return False
        source = await self._source(tx, text)
        own = (version.seen, version.until, Source.AUDIT.value, table.name)
        offsets = any(b"+0000" in piece for piece in text.pieces)
        is_loaded = False
        await tx.execute("SAVEPOINT load")
        with suppress(IntegrityError):
            await tx.execute(_from_source(table, text.columns, source, offsets=offsets), own)
            is_loaded = await tx.fetch("SELECT changes()") == [(text.count,)]
        if not is_loaded:
            await tx.execute("ROLLBACK TO load")
        await tx.execute("RELEASE load")
        return is_loaded

    async def load_rows(
        self, tx: Tx, table: Table, columns: Sequence[str], rows: list[list[str]], version: Version
    ) -> None:
        """Insert rows of CSV text that are new to the mirror; SQLite converts the values.

        A statement inserts many rows: while SQLite executes it without the GIL, the next text is parsed.
        """
        own = (version.seen, version.until, Source.AUDIT.value, 0)
        at_once = max(min(_ROWS_AT_ONCE, _MAX_PARAMETERS // len(columns)), 1)
        whole = len(rows) // at_once * at_once
        if whole:
            batches = (rows[start : start + at_once] for start in range(0, whole, at_once))
            many = ((*own, *chain.from_iterable(batch)) for batch in batches)
            await tx.executemany(_of_parameters(table, columns, at_once), many)
        await tx.executemany(_of_parameters(table, columns, 1), ((*own, *row) for row in rows[whole:]))

    async def _available(self, tx: Tx) -> bool:
        if self._is_available is None:
            found = await tx.fetch("SELECT 1 FROM pragma_module_list WHERE name='csv'")
            self._is_available = bool(found)
        return self._is_available

    async def _source(self, tx: Tx, text: MaskedText) -> str:
        """Put the text into the file; return the virtual table that reads it, with a column too many."""
        if self._file is None:
            self._file = os.memfd_create("rtsd-load")
            weakref.finalize(self, os.close, self._file)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.ftruncate(self._file, 0)
        for piece in text.pieces:
            _write(self._file, piece)
        width = len(text.columns) + 1
        source = f"temp._rts_csv_{self._file}_{width}"
        await tx.execute(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {source}"
            f" USING csv(filename='/proc/self/fd/{self._file}', columns={width})"
        )
        return source


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _from_source(table: Table, columns: Sequence[str], source: str, *, offsets: bool) -> str:
    """INSERT the rows of a table of CSV text, whose columns are `c0` and so on, and one too many.

    `offsets`: times may end with +0000. Parameters: seen, until, source, the object's name. A row of another
    width, or with a tombstone, gets no value for a column that must have one, which refuses the statement.
    """
    last, identity = len(columns) - 1, columns.index("Id")
    partial = (
        f"CASE WHEN c{last} IS NOT NULL AND c{last + 1} IS NULL AND NOT EXISTS"
        f" (SELECT 1 FROM _rts_tombstone WHERE object=?4 AND id=c{identity}) THEN 0 END"
    )
    conversions = FROM_CSV if offsets else _WITHOUT_OFFSET
    values = (
        conversions[table.schema.by_name[name].kind].format(f"c{place}") for place, name in enumerate(columns)
    )
    return (
        f"INSERT INTO {table.sql_name} ({table.list_of((*columns, *OWN_COLUMNS))})"
        f" SELECT {', '.join(values)}, ?1, ?2, ?3, {partial} FROM {source}"
    )


def _of_parameters(table: Table, columns: Sequence[str], rows: int) -> str:
    """INSERT rows of CSV text. Parameters: rtsd's own columns, then row by row."""
    own = len(OWN_COLUMNS)
    mine = ", ".join(f"?{place}" for place in range(1, own + 1))
    marks = (f"?{place}" for place in range(own + 1, own + 1 + rows * len(columns)))
    values = [[table.from_csv(name, next(marks)) for name in columns] for _ in range(rows)]
    tuples = ", ".join(f"({', '.join(row)}, {mine})" for row in values)
    return f"INSERT INTO {table.sql_name} ({table.list_of((*columns, *OWN_COLUMNS))}) VALUES {tuples}"
