"""Reads of the mirror's rows and tombstones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from rtsd.core.change import StoredRecord, Version
from rtsd.core.image import Image
from rtsd.core.instant import to_iso
from rtsd.store.database import AMONG, Database, Queries, Row, Tx
from rtsd.store.schema import Table

END = "9999-12-31T23:59:59.999Z"
"""A stamp after all others."""

_BY_IDS = f"WHERE Id {AMONG}"


async def known(tx: Tx, table: Table, ids: Collection[str]) -> dict[str, StoredRecord]:
    """The stored state of these records, without unknown ones."""
    width = len(table.columns)
    cursor = table.columns.index(table.schema.cursor) if table.schema.cursor else None
    found: dict[str, StoredRecord] = {}
    for row in await tx.fetch(f"{table.select} {_BY_IDS}", (list(ids),)):
        stamp = row[cursor] if cursor is not None else to_iso(row[width])  # the stamp of changes without one
        image = Image(table.schema.places, row[:width])
        found[str(image["Id"])] = StoredRecord(
            Version(stamp or "", row[width], row[width + 1]), image, partial=bool(row[width + 3])
        )
    missing = [record_id for record_id in ids if record_id not in found]  # with a row there is no tombstone
    if missing:
        for stone in await tx.fetch(
            f'SELECT id, stamp, seen, until, "values" FROM _rts_tombstone WHERE object=? AND id {AMONG}',
            (table.name, missing),
        ):
            values = msgspec.json.decode(stone[4]) if stone[4] else None
            found[stone[0]] = StoredRecord(Version(stone[1], stone[2], stone[3]), values, deleted=True)
    return found


async def rows_of(database: Queries, table: Table, ids: Collection[str]) -> dict[str, Image]:
    """The values of those records that have a row, by id."""
    rows = await database.fetch(
        f"SELECT {table.list_of(table.columns)} FROM {table.sql_name} {_BY_IDS}", (list(ids),)
    )
    images = [Image(table.schema.places, row) for row in rows]
    return {str(image["Id"]): image for image in images}


async def known_ids(reader: Tx | Queries, table: Table, ids: Sequence[str]) -> set[str]:
    """The ids among these with a row or a tombstone."""
    wanted = list(ids)
    rows = await reader.fetch(
        f"SELECT Id FROM {table.sql_name} {_BY_IDS}"
        " UNION ALL SELECT id FROM _rts_tombstone"
        f" WHERE object=? AND id {AMONG}",
        (wanted, table.name, wanted),
    )
    return {row[0] for row in rows}


async def count(database: Database, table: Table, created_before: str | None = None) -> int:
    """The number of rows, or of those created before `created_before`."""
    where, parameters = ("WHERE CreatedDate < ?", (created_before,)) if created_before else ("", ())
    ((rows,),) = await database.fetch(f"SELECT COUNT(*) FROM {table.sql_name} {where}", parameters)
    return int(rows)


async def sample(database: Database, table: Table, rows: int) -> list[Row]:
    """Some rows, with rtsd's own columns at their end."""
    return await database.fetch(f"{table.select} LIMIT ?", (rows,))


async def histogram(database: Database, table: Table, before: str) -> dict[str, int]:
    """The number of rows per day of their stamp, for stamps before `before`."""
    rows = await database.fetch(table.dialect.histogram(table.sql_name, table.stamp), (before,))
    return dict(rows)


async def count_since(database: Database, table: Table, since: str, before: str = END) -> int:
    """The number of rows stamped from `since` up to but excluding `before`."""
    cursor = table.stamp
    ((rows,),) = await database.fetch(
        f"SELECT COUNT(*) FROM {table.sql_name} WHERE {cursor} >= ? AND {cursor} < ?", (since, before)
    )
    return int(rows)


async def stamps(database: Database, table: Table, since: str, before: str) -> dict[str, str]:
    """The stamps from `since` up to but excluding `before`, by id."""
    cursor = table.stamp
    rows = await database.fetch(
        f"SELECT Id, {cursor} FROM {table.sql_name} WHERE {cursor} >= ? AND {cursor} < ?",
        (since, before),
    )
    return dict(rows)


async def stamps_of(database: Database, table: Table, ids: Iterable[str]) -> dict[str, str]:
    """The stamps of those records that are in the mirror, by id."""
    cursor = table.stamp
    wanted = list(ids)
    rows = await database.fetch(f"SELECT Id, {cursor} FROM {table.sql_name} {_BY_IDS}", (wanted,))
    return dict(rows)


async def unsettled(database: Database, table: Table, since: str) -> set[str]:
    """The ids of rows stamped from `since` that were read before the second of their stamp ended."""
    cursor = table.stamp
    rows = await database.fetch(
        f"SELECT Id FROM {table.sql_name} WHERE {cursor} >= ?"
        f" AND _rts_seen < {table.dialect.seconds(cursor)} * 1000 + 1000",
        (since,),
    )
    return {row[0] for row in rows}


async def row_versions(database: Database, table: Table, ids: Iterable[str]) -> dict[str, Version]:
    """The versions of those records that have a row, by id."""
    cursor = table.stamp
    wanted = list(ids)
    rows = await database.fetch(
        f"SELECT Id, {cursor}, _rts_seen, _rts_until FROM {table.sql_name} {_BY_IDS}", (wanted,)
    )
    if table.schema.cursor is None:  # the stamp of changes without one
        return {record_id: Version(to_iso(seen), seen, until) for record_id, _, seen, until in rows}
    return {record_id: Version(stamp or "", seen, until) for record_id, stamp, seen, until in rows}


async def versions(database: Database, table: Table, ids: Sequence[str]) -> dict[str, Version]:
    """The versions of those records that have a row or a tombstone, by id."""
    stones = await database.fetch(
        f"SELECT id, stamp, seen, until FROM _rts_tombstone WHERE object=? AND id {AMONG}",
        (table.name, list(ids)),
    )
    return {stone[0]: Version(*stone[1:]) for stone in stones} | await row_versions(database, table, ids)


async def record(database: Database, table: Table, record_id: str) -> dict[str, Any] | None:
    """A record as stored: `{"state": "live" | "deleted", "values": …, …}`; None if never seen."""
    width = len(table.columns)
    for row in await database.fetch(f"{table.select} WHERE Id=?", (record_id,)):
        return {
            "state": "live",
            "values": dict(zip(table.columns, row[:width], strict=True)),
            "seen_at": to_iso(row[width]),
            "source": row[width + 2],
            "partial": bool(row[width + 3]),
        }
    for row in await database.fetch(
        'SELECT deleted_at, master, "values", seen FROM _rts_tombstone WHERE object=? AND id=?',
        (table.name, record_id),
    ):
        return {
            "state": "deleted",
            "deleted_at": row[0],
            "master": row[1],
            "values": msgspec.json.decode(row[2]) if row[2] else None,
            "seen_at": to_iso(row[3]),
        }
    return None
