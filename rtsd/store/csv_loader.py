"""Loads of CSV text by SQLite itself, which reads, converts and inserts rows without Python and its GIL.

Only `sync.apply` may import this module.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress

from rtsd.core.change import Source, Version
from rtsd.core.privacy import MaskedText
from rtsd.store.database import Tx
from rtsd.store.schema import Table
from rtsd.store.sqlite import IntegrityError


class CsvLoader:
    """Inserts CSV text from a file in memory, which each load overwrites."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._is_available: bool | None = None

    async def load(self, tx: Tx, table: Table, text: MaskedText, version: Version) -> bool:
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
            await tx.execute(table.load_from(text.columns, source, offsets=offsets), own)
            is_loaded = await tx.fetch("SELECT changes()") == [(text.count,)]
        if not is_loaded:
            await tx.execute("ROLLBACK TO load")
        await tx.execute("RELEASE load")
        return is_loaded

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
