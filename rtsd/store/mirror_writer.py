"""Writes of the mirror's rows and tombstones. Only `sync.apply` may import this module."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rtsd.core.change import Source, Version
from rtsd.core.image import Fields, picked
from rtsd.core.privacy import MaskedText
from rtsd.core.values import MirrorValue
from rtsd.store.database import Tx
from rtsd.store.schema import Table


class MirrorRow(msgspec.Struct, frozen=True, gc=False):
    """A complete row to write; `changed` names every column that differs from the table's row, if any."""

    values: Fields
    version: Version
    source: Source
    partial: bool = False
    changed: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted record: the version of its deletion and its last values."""

    id: str
    version: Version
    deleted_at: str
    master: str | None
    values: dict[str, MirrorValue] | None


async def put(tx: Tx, table: Table, rows: Sequence[MirrorRow], present: Collection[str]) -> None:
    """Write complete rows; `present` holds the ids of those that the table already has.

    Of a present row only changed columns are written, and none of another row's that has an index: every
    untouched index saves more than the rest of the row costs.
    """
    new = [row for row in rows if row.values["Id"] not in present]
    if new:
        await tx.executemany(table.put, [_record(row, table.columns) for row in new])
    alike: dict[frozenset[str], list[MirrorRow]] = {}
    for row in rows:
        if row.values["Id"] in present:
            alike.setdefault(table.indexed.intersection(row.changed), []).append(row)
    for old in alike.values():
        changing: set[str] = set()
        for row in old:
            changing.update(row.changed)
        columns = [name for name in table.columns if name in changing]
        await tx.executemany(
            table.update(columns), [(*_record(row, columns), row.values["Id"]) for row in old]
        )


def _record(row: MirrorRow, columns: Sequence[str]) -> tuple[Any, ...]:
    """The values of some columns, then those of rtsd's own columns."""
    own = (row.version.seen, row.version.until, row.source.value, int(row.partial))
    return (*picked(row.values, columns), *own)


async def load_text(tx: Tx, table: Table, text: MaskedText, version: Version) -> bool:
    """Insert the rows of CSV text; return False, with nothing inserted, if not all of them can be.

    They can't if a row's id is known or deleted, or its width is wrong.
    """
    return await tx.loader.load_text(tx, table, text, version)


async def load_rows(
    tx: Tx, table: Table, columns: Sequence[str], rows: list[list[str]], version: Version
) -> None:
    """Insert rows of CSV text that are new to the mirror."""
    await tx.loader.load_rows(tx, table, columns, rows, version)


async def refresh(tx: Tx, table: Table, columns: Sequence[str], rows: list[list[str]]) -> int:
    """Set some columns from CSV text (Id, the stamp, the columns) of rows with the same version.

    Return the number of rows that differed.
    """
    return await tx.executemany(table.refresh(columns), rows)


async def add_tombstones(tx: Tx, table: Table, tombstones: Sequence[Tombstone]) -> None:
    """Delete records from their table and add their tombstones."""
    await tx.executemany(
        f"DELETE FROM {table.sql_name} WHERE Id=?", [(tombstone.id,) for tombstone in tombstones]
    )
    await tx.executemany(
        'INSERT INTO _rts_tombstone (object, id, deleted_at, stamp, seen, until, master, "values")'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (object, id) DO UPDATE SET"
        " deleted_at=excluded.deleted_at, stamp=excluded.stamp, seen=excluded.seen, until=excluded.until,"
        " master=COALESCE(excluded.master, _rts_tombstone.master),"
        ' "values"=COALESCE(excluded."values", _rts_tombstone."values")',
        [
            (
                table.name,
                tombstone.id,
                tombstone.deleted_at,
                *tombstone.version,
                tombstone.master,
                msgspec.json.encode(tombstone.values).decode() if tombstone.values is not None else None,
            )
            for tombstone in tombstones
        ],
    )


async def remove_tombstones(tx: Tx, table: Table, ids: Sequence[str]) -> None:
    """Remove the tombstones of records that are back."""
    await tx.executemany(
        "DELETE FROM _rts_tombstone WHERE object=? AND id=?", [(table.name, record_id) for record_id in ids]
    )
