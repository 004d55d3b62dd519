"""Row checksums: digests of stored rows that reveal what changed without a write.

`rtsd verify` computes them, outside the write path: it compares each row with its checksum, then adds
checksums for rows written since. A row with the recorded version (its times of observation) must have the
recorded values, and a record that rtsd deleted has left a tombstone. Rows are compared one by one only in
blocks whose digest is another.

A block has the rows after the key that names it, up to the key that names the next block; the last block has
no end. So every row is in one block, wherever its key sorts, and a block that has grown is split.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from rtsd.store import mirror
from rtsd.store.database import Database, Queries, Row, Tx
from rtsd.store.dialect import Key
from rtsd.store.schema import Table

BLOCK = 1_024
"""Rows of a new block."""
MOST = BLOCK + BLOCK // 2
"""A block with as many rows is split."""


class RowChecksum(NamedTuple):
    """The checksum of one row."""

    id: str
    version: bytes
    values: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, RowChecksum]).decode
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


@dataclass(slots=True)
class _Block:
    """A block as it was stored, and its rows as they are."""

    begin: Key
    """The key that names it."""
    end: Key | None
    """The last key that it may have, which names the next block; None if it is the last."""
    rows: list[Row]
    is_cut: bool
    """Whether more rows follow, so that it has to be split."""
    checksums: bytes
    """The stored checksums; empty if there are none."""
    digest: bytes | None
    """The stored digest of all rows; None if each has to be compared."""


@dataclass(slots=True)
class _Compared:
    """The checksums of a block's rows, and what they tell."""

    checksums: list[RowChecksum] = field(default_factory=list)
    gone: dict[str, list[str]] = field(default_factory=dict)
    """Ids without a row, each with those that may have replaced it."""
    rest: list[RowChecksum] = field(default_factory=list)
    """Stored checksums that belong to the next block, if this one is split."""


def packed(checksums: Sequence[RowChecksum]) -> bytes:
    """Encode the checksums of a block."""
    return _encode(dict(enumerate(checksums)))


def unpacked(stored: bytes) -> Sequence[RowChecksum]:
    """Decode what `packed` encoded."""
    return list(_decode(stored).values())


async def check(
    database: Database, table: Table, columns: Sequence[str], result: Checked | None = None
) -> Checked:
    """Compare every row with its checksum, and add missing checksums.

    `columns` are the columns that only rtsd's writes change. A given `result` shows how far the check is.
    """
    result = result or Checked()
    signature = blake2b("\0".join((_FORMAT, *columns)).encode(), digest_size=16).hexdigest()
    async with database.transaction() as tx:
        await tx.execute(
            "DELETE FROM _rts_row_checksum WHERE object=? AND columns<>?", (table.name, signature)
        )
    async with database.apart() as reader:
        begin: Key | None = table.dialect.before_keys
        while begin is not None:
            block = await _read(reader, table, columns, begin)
            begin = block.end
            digest = await asyncio.to_thread(_digest, block.rows)
            if digest == block.digest or not (block.rows or block.checksums):
                result.rows += len(block.rows)
                result.checksummed += len(block.rows)
                continue
            broken = len(result.broken)
            found = await asyncio.to_thread(_compare, block, result)
            if found.gone:
                await _judge_gone(reader, table, found.gone, result)
            sound = digest if len(result.broken) == broken else None
            async with database.transaction() as tx:
                await _store(tx, (table.name, block.begin, signature), found.checksums, sound)
                if found.rest:
                    await _store(tx, (table.name, block.end, signature), found.rest, None)
    return result


async def forget(database: Database, table: Table) -> None:
    """Delete a table's checksums, after columns were rewritten without new versions."""
    async with database.transaction() as tx:
        await forget_in(tx, table.name)


async def forget_in(tx: Tx, object_name: str) -> None:
    """Delete a table's checksums in the transaction that rewrites columns without new versions."""
    await tx.execute("DELETE FROM _rts_row_checksum WHERE object=?", (object_name,))


async def _read(reader: Queries, table: Table, columns: Sequence[str], begin: Key) -> _Block:
    """Read a block, or as many rows as make a new one."""
    name = (table.name, begin)
    stored = await reader.fetch(
        "SELECT checksums, digest FROM _rts_row_checksum WHERE object=? AND block=?", name
    )
    ((end,),) = await reader.fetch(
        "SELECT MIN(block) FROM _rts_row_checksum WHERE object=? AND block>?", name
    )
    key, most = table.dialect.key, MOST if stored else BLOCK
    until, bounds = ("", (begin,)) if end is None else (f" AND {key} <= ?", (begin, end))
    rows = await reader.fetch(
        f"SELECT {key}, Id, _rts_seen, _rts_until, {table.read_list(columns)} FROM {table.sql_name}"
        f" WHERE {key} > ?{until} ORDER BY {key} LIMIT {most}",
        bounds,
    )
    checksums, digest = stored[0] if stored else (b"", None)
    if is_cut := len(rows) == most:
        rows, end = rows[:BLOCK], rows[BLOCK - 1][0]
    return _Block(begin, end, rows, is_cut, checksums, digest)


def _compare(block: _Block, result: Checked) -> _Compared:
    """Compare the rows of a block with their checksums.

    A row with broken values keeps its old checksum and is reported until it is written.
    """
    compared = _Compared()
    stored = unpacked(block.checksums) if block.checksums else ()
    gone = {checksum.id: checksum for checksum in stored}
    added: dict[bytes, list[str]] = {}
    for row in block.rows:
        found = RowChecksum(row[1], _digest(row[2:4]), _digest(row[4:]))
        known = gone.pop(found.id, None)
        if known is None:
            added.setdefault(found.version, []).append(found.id)
        elif known.version == found.version:
            result.checksummed += 1
            if known.values != found.values:
                result.broken.append(found.id)
                found = known
        compared.checksums.append(found)
    result.rows += len(block.rows)
    if block.is_cut:
        compared.rest = list(gone.values())
    else:
        compared.gone = {known.id: added.pop(known.version, []) for known in gone.values()}
    return compared


async def _judge_gone(
    reader: Queries, table: Table, gone: Mapping[str, Sequence[str]], result: Checked
) -> None:
    """Report Ids that are gone although nothing deleted them, and the Ids that overwrote them."""
    explained = await mirror.known_ids(reader, table, list(gone))
    for record_id, instead in gone.items():
        if record_id not in explained:
            result.broken += [record_id, *instead]


def _digest(values: Sequence[Any]) -> bytes:
    return blake2b(_encode(values), digest_size=8).digest()


async def _store(
    tx: Tx, key: tuple[str, Key | None, str], checksums: Sequence[RowChecksum], digest: bytes | None
) -> None:
    """Store a block, or delete one without rows."""
    if not checksums:
        await tx.execute("DELETE FROM _rts_row_checksum WHERE object=? AND block=? AND columns=?", key)
        return
    await tx.execute(
        "INSERT INTO _rts_row_checksum (object, block, columns, checksums, digest)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (object, block) DO UPDATE SET columns=excluded.columns,"
        " checksums=excluded.checksums, digest=excluded.digest",
        (*key, packed(checksums), digest),
    )
