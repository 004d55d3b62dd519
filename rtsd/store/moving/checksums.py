"""Row checksums on the move: each row keeps its own, in new blocks by the keys of the target.

A block's digest covers the keys of its rows, which are other ones now: `rtsd verify` compares each row once.
"""

from __future__ import annotations

import sqlite3 as standard_sqlite
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from itertools import islice

from rtsd.store.database import Row
from rtsd.store.dialect import Key, quoted
from rtsd.store.moving.columns import Layout
from rtsd.store.moving.content import Batches
from rtsd.store.moving.sides import Part, Source, Target
from rtsd.store.row_checksums import BLOCK, RowChecksum, packed, unpacked

_AT_ONCE = 16
"""Blocks in one batch."""


@contextmanager
def _sorter() -> Iterator[standard_sqlite.Connection]:
    """A scratch file that sorts checksums by id, whatever their number."""
    with closing(standard_sqlite.connect("", isolation_level=None)) as scratch:
        scratch.execute("PRAGMA journal_mode=OFF")
        scratch.execute("PRAGMA synchronous=OFF")
        scratch.execute(
            "CREATE TABLE row_checksum (id TEXT PRIMARY KEY, version BLOB, digest BLOB, columns TEXT)"
            " WITHOUT ROWID"
        )
        yield scratch


async def ordered(source: Source, object_name: str) -> AsyncIterator[list[tuple[str, bytes, bytes, str]]]:
    """Yield the checksums of an object by id, as (id, version, values, signature of the columns)."""
    with _sorter() as scratch:
        await _sort(scratch, source, object_name)
        found = scratch.execute("SELECT id, version, digest, columns FROM row_checksum ORDER BY id")
        while block := list(islice(found, BLOCK)):
            yield block


async def _sort(scratch: standard_sqlite.Connection, source: Source, object_name: str) -> None:
    name = object_name.replace("'", "''")
    part = Part("_rts_row_checksum", ("block",), f"object='{name}'")
    blocks = Batches(source, part, [quoted("columns"), "checksums"], first=_AT_ONCE)
    async for rows in blocks.rows():
        scratch.execute("BEGIN")
        for signature, checksums in rows:
            scratch.executemany(
                "INSERT OR REPLACE INTO row_checksum VALUES (?, ?, ?, ?)",
                [(*found, signature) for found in unpacked(checksums)],
            )
        scratch.execute("COMMIT")


async def copy(source: Source, target: Target, reader: Source, layout: Layout) -> None:
    """Copy an object's checksums, whose rows `reader` finds in the target already."""
    begin: Key = target.dialect.before_keys
    columns = [quoted(name) for name in ("object", "block", "columns", "checksums", "digest")]
    with _sorter() as scratch:
        await _sort(scratch, source, layout.table.name)
        async for keys in _blocks(reader, layout):
            select = "SELECT id, version, digest, columns FROM row_checksum WHERE id=?"
            found = [row for _, record_id in keys for row in scratch.execute(select, (record_id,))]
            if found:
                checksums = [RowChecksum(*row[:3]) for row in found]
                row = (layout.table.name, begin, found[0][3], packed(checksums), None)
                await target.put("_rts_row_checksum", columns, [row])
            begin = keys[-1][0]


async def _blocks(reader: Source, layout: Layout) -> AsyncIterator[list[Row]]:
    """Yield the keys and ids of the target's rows, in the order of the keys, in blocks."""
    key, waiting = reader.dialect.key, list[Row]()
    part = Part(layout.table.sql_name, (key,))
    async for rows in Batches(reader, part, [key, reader.dialect.column("Id")]).rows():
        waiting += rows
        while len(waiting) >= BLOCK:
            yield waiting[:BLOCK]
            waiting = waiting[BLOCK:]
    if waiting:
        yield waiting
