"""Row checksums: digests of stored rows that reveal a value that changed without a write.

`rtsd verify` computes them, outside the write path: it compares each row with its checksum, then adds
checksums for rows written since. A row with the recorded version (Id and times of observation) must have the
recorded values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from rtsd.store.database import Database, Reader, Tx
from rtsd.store.schema import Table
from rtsd.store.sqlite import quoted

BLOCK = 1_024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, tuple[bytes, bytes]]).decode


@dataclass(slots=True)
class Checked:
    """The result of checking one table."""

    rows: int = 0
    checksummed: int = 0
    """Rows that already had a checksum of their current version."""
    broken: list[str] = field(default_factory=list)
    """Ids of rows whose values changed without a write."""


async def check(database: Database, table: Table, columns: Sequence[str]) -> Checked:
    """Compare every row with its checksum, and add missing checksums.

    `columns` are the columns that only rtsd's writes change.
    """
    signature = blake2b("\0".join(columns).encode(), digest_size=16).hexdigest()
    result = Checked()
    async with database.apart() as reader:
        ((last,),) = await reader.fetch(f"SELECT MAX(rowid) FROM {quoted(table.name)}")
        for block in range((last or 0) // BLOCK + 1):
            rows = await _rows(reader, table, columns, block)
            stored = await reader.fetch(
                "SELECT checksums FROM _rts_row_checksum WHERE object=? AND block=? AND columns=?",
                (table.name, block, signature),
            )
            before = _decode(stored[0][0]) if stored else {}
            checksums = await asyncio.to_thread(_compare, rows, before, result)
            if checksums != before:
                await _store(database, (table.name, block, signature, _encode(checksums)))
    return result


async def forget(database: Database, table: Table) -> None:
    """Delete a table's checksums, after columns were rewritten without new versions."""
    async with database.transaction() as tx:
        await forget_in(tx, table.name)


async def forget_in(tx: Tx, object_name: str) -> None:
    """Delete a table's checksums in the transaction that rewrites columns without new versions."""
    await tx.execute("DELETE FROM _rts_row_checksum WHERE object=?", (object_name,))


async def _rows(reader: Reader, table: Table, columns: Sequence[str], block: int) -> list[tuple[Any, ...]]:
    names = ", ".join(map(quoted, columns))
    return await reader.fetch(
        f"SELECT rowid, Id, _rts_seen, _rts_until, {names} FROM {quoted(table.name)}"
        " WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
        (block * BLOCK, (block + 1) * BLOCK),
    )


def _compare(
    rows: list[tuple[Any, ...]], before: dict[int, tuple[bytes, bytes]], result: Checked
) -> dict[int, tuple[bytes, bytes]]:
    """Return the block's checksums. A broken row keeps its old one and is reported until it is written."""
    checksums = {}
    for row in rows:
        place = row[0] % BLOCK
        version, values = _digest(row[1:4]), _digest(row[4:])
        known = before.get(place)
        if known is not None and known[0] == version:
            result.checksummed += 1
            if known[1] != values:
                result.broken.append(row[1])
                values = known[1]
        checksums[place] = (version, values)
    result.rows += len(rows)
    return checksums


def _digest(values: tuple[Any, ...]) -> bytes:
    return blake2b(_encode(values), digest_size=8).digest()


async def _store(database: Database, checksums: tuple[str, int, str, bytes]) -> None:
    async with database.transaction() as tx:
        await tx.execute("INSERT OR REPLACE INTO _rts_row_checksum VALUES (?, ?, ?, ?)", checksums)
