"""Row checksums: digests of stored rows that reveal what changed without a write.

`rtsd verify` computes them, outside the write path: it compares each row with its checksum, then adds
checksums for rows written since. A row with the recorded version (its times of observation) must have the
recorded Id and values, and a record that rtsd deleted has left a tombstone. Rows are compared one by one only
in blocks whose digest is another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from rtsd.store import mirror
from rtsd.store.database import Database, Queries, Tx
from rtsd.store.schema import Table

BLOCK = 1_024


class _Checksum(NamedTuple):
    """The checksum of one row."""

    id: str
    version: bytes
    values: bytes


_Block = dict[int, _Checksum]
"""Checksums by the row's place in its block."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Block).decode
_FORMAT = "id, version, values"
"""Part of the signature, so that checksums of an earlier format are ignored."""


@dataclass(slots=True)
class Checked:
    """The result of checking one table."""

    rows: int = 0
    checksummed: int = 0
    """Rows that already had a checksum of their current version."""
    broken: list[str] = field(default_factory=list)
    """Ids of rows that changed without a write: other values, another Id, or gone."""


async def check(database: Database, table: Table, columns: Sequence[str]) -> Checked:
    """Compare every row with its checksum, and add missing checksums.

    `columns` are the columns that only rtsd's writes change.
    """
    signature = blake2b("\0".join((_FORMAT, *columns)).encode(), digest_size=16).hexdigest()
    result = Checked()
    async with database.apart() as reader:
        ((last,),) = await reader.fetch(f"SELECT MAX(rowid) FROM {table.sql_name}")
        blocks = (last or 0) // BLOCK + 1
        for block in range(max(blocks, await _blocks(reader, table, signature))):
            rows = await _rows(reader, table, columns, block)
            key = (table.name, block, signature)
            stored, known = await _stored(reader, key)
            digest = await asyncio.to_thread(_digest, rows)
            if stored and digest == known:
                result.rows += len(rows)
                result.checksummed += len(rows)
                continue
            before = _decode(stored) if stored else {}
            broken = len(result.broken)
            checksums, displaced = await asyncio.to_thread(_compare, rows, before, result)
            if displaced:
                await _judge_displaced(reader, table, displaced, result)
            is_sound = len(result.broken) == broken
            await _store(database, (*key, _encode(checksums), digest if is_sound else None))
    return result


async def forget(database: Database, table: Table) -> None:
    """Delete a table's checksums, after columns were rewritten without new versions."""
    async with database.transaction() as tx:
        await forget_in(tx, table.name)


async def forget_in(tx: Tx, object_name: str) -> None:
    """Delete a table's checksums in the transaction that rewrites columns without new versions."""
    await tx.execute("DELETE FROM _rts_row_checksum WHERE object=?", (object_name,))


async def _rows(reader: Queries, table: Table, columns: Sequence[str], block: int) -> list[tuple[Any, ...]]:
    names = table.list_of(columns)
    return await reader.fetch(
        f"SELECT rowid, Id, _rts_seen, _rts_until, {names} FROM {table.sql_name}"
        " WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
        (block * BLOCK, (block + 1) * BLOCK),
    )


async def _stored(reader: Queries, key: tuple[str, int, str]) -> tuple[bytes, bytes | None]:
    """Return a block's checksums, empty if there are none, and its digest."""
    rows = await reader.fetch(
        "SELECT checksums, digest FROM _rts_row_checksum WHERE object=? AND block=? AND columns=?", key
    )
    return rows[0] if rows else (b"", None)


async def _blocks(reader: Queries, table: Table, signature: str) -> int:
    """Return the number of blocks with checksums: the last rows may be gone."""
    ((last,),) = await reader.fetch(
        "SELECT MAX(block) FROM _rts_row_checksum WHERE object=? AND columns=?", (table.name, signature)
    )
    return 0 if last is None else int(last) + 1


def _compare(rows: list[tuple[Any, ...]], before: _Block, result: Checked) -> tuple[_Block, dict[str, str]]:
    """Return the block's checksums, and the Ids that are not in their place, each with that which is.

    A row with broken values keeps its old checksum and is reported until it is written.
    """
    checksums: _Block = {}
    displaced = {checksum.id: "" for checksum in before.values()}
    for row in rows:
        place = row[0] % BLOCK
        found = _Checksum(row[1], _digest(row[2:4]), _digest(row[4:]))
        known = before.get(place)
        if known is not None and known.id == found.id:
            displaced.pop(known.id)
            if known.version == found.version:
                result.checksummed += 1
                if known.values != found.values:
                    result.broken.append(found.id)
                    found = known
        elif known is not None and known.version == found.version:
            displaced[known.id] = found.id
        checksums[place] = found
    result.rows += len(rows)
    return checksums, displaced


async def _judge_displaced(
    reader: Queries, table: Table, displaced: Mapping[str, str], result: Checked
) -> None:
    """Report Ids that are gone although nothing deleted them, and the Ids that overwrote them."""
    explained = await mirror.known_ids(reader, table, list(displaced))
    for record_id, instead in displaced.items():
        if record_id not in explained:
            result.broken += [record_id, instead] if instead else [record_id]


def _digest(values: Sequence[Any]) -> bytes:
    return blake2b(_encode(values), digest_size=8).digest()


async def _store(database: Database, checksums: tuple[str, int, str, bytes, bytes | None]) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO _rts_row_checksum (object, block, columns, checksums, digest)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (object, block) DO UPDATE SET columns=excluded.columns,"
            " checksums=excluded.checksums, digest=excluded.digest",
            checksums,
        )
