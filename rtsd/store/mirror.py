"""The mirror's rows and tombstones. Only `sync.apply` writes here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from rtsd.core.change import Source, StoredRecord, Version
from rtsd.core.instant import Millis, to_iso
from rtsd.core.values import MirrorValue
from rtsd.store.database import Database, Tx
from rtsd.store.schema import Table
from rtsd.store.sqlite import quoted

_ROWS_AT_ONCE = 32
"""Rows in one INSERT of a load: some tenths of a millisecond."""
_MOST_PARAMETERS = 32_000
"""Of one statement; SQLite takes 32,766 (sqlite.org/limits.html)."""

_BY_IDS = "WHERE Id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """A whole row, as it is to stand."""

    values: dict[str, MirrorValue]
    version: Version
    source: Source
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted record: the version of its deletion and its last values."""

    id: str
    version: Version
    deleted_at: str
    master: str | None
    values: dict[str, MirrorValue] | None


async def known(tx: Tx, table: Table, ids: Iterable[str]) -> dict[str, StoredRecord]:
    """What the mirror knows of these records; those it never heard of are absent."""
    wanted = msgspec.json.encode(list(ids)).decode()
    width = len(table.columns)
    cursor = table.columns.index(table.schema.cursor) if table.schema.cursor else None
    found: dict[str, StoredRecord] = {}
    for stone in await tx.fetch(
        'SELECT id, stamp, seen, until, "values" FROM _rts_tombstone'
        " WHERE object=? AND id IN (SELECT value FROM json_each(?))",
        (table.name, wanted),
    ):
        values = msgspec.json.decode(stone[4]) if stone[4] else None
        found[stone[0]] = StoredRecord(Version(stone[1], stone[2], stone[3]), values, deleted=True)
    for row in await tx.fetch(f"{table.select} {_BY_IDS}", (wanted,)):
        stamp = row[cursor] if cursor is not None else to_iso(row[width])  # as its changes are stamped
        values = dict(zip(table.columns, row[:width], strict=True))
        found[values["Id"]] = StoredRecord(
            Version(stamp or "", row[width], row[width + 1]), values, partial=bool(row[width + 3])
        )
    return found


async def known_ids(tx: Tx, table: Table, ids: Sequence[str]) -> set[str]:
    """Which of these records have a row or a tombstone."""
    wanted = msgspec.json.encode(ids).decode()
    rows = await tx.fetch(
        f"SELECT Id FROM {quoted(table.name)} {_BY_IDS}"
        " UNION ALL SELECT id FROM _rts_tombstone"
        " WHERE object=? AND id IN (SELECT value FROM json_each(?))",
        (wanted, table.name, wanted),
    )
    return {row[0] for row in rows}


async def put(
    tx: Tx, table: Table, rows: Sequence[MirrorRow], standing: Mapping[str, Mapping[str, MirrorValue]]
) -> None:
    """Write whole rows; `standing` are those of them that the table holds now, by id.

    Of a row that stands only the columns that change are written: each index that is left alone saves
    more than the rest of the row costs.
    """
    new = [row for row in rows if row.values["Id"] not in standing]
    if new:
        await tx.executemany(table.put, [_record(row, table.columns) for row in new])
    old = [row for row in rows if row.values["Id"] in standing]
    if old:
        changing: set[str] = set()
        for row in old:
            before = standing[str(row.values["Id"])]
            changing.update(name for name, value in row.values.items() if before.get(name) != value)
        columns = [name for name in table.columns if name in changing]
        await tx.executemany(
            table.update(columns), [(*_record(row, columns), row.values["Id"]) for row in old]
        )


def _record(row: MirrorRow, columns: Sequence[str]) -> tuple[Any, ...]:
    """The values of some columns, then our own."""
    own = (row.version.seen, row.version.until, row.source.value, int(row.partial))
    return (*map(row.values.get, columns), *own)


async def load(tx: Tx, table: Table, columns: Sequence[str], rows: list[list[str]], version: Version) -> None:
    """Insert rows of CSV text that are new to the mirror; SQLite converts them.

    Many rows go into one statement: while SQLite works on it, the next of the text is parsed (both share
    Python's lock, which is free only within a statement).
    """
    own = (version.seen, version.until, Source.AUDIT.value, 0)
    at_once = max(min(_ROWS_AT_ONCE, _MOST_PARAMETERS // len(columns)), 1)
    whole = len(rows) // at_once * at_once
    if whole:
        batches = (rows[start : start + at_once] for start in range(0, whole, at_once))
        many = ((*own, *chain.from_iterable(batch)) for batch in batches)
        await tx.executemany(table.load(columns, at_once), many)
    await tx.executemany(table.load(columns, 1), ((*own, *row) for row in rows[whole:]))


async def refresh(tx: Tx, table: Table, columns: Sequence[str], rows: list[list[str]]) -> int:
    """Set some columns from CSV text (Id, the stamp, the columns) of rows that show the same version.

    Return how many rows differed.
    """
    return await tx.executemany(table.refresh(columns), rows)


async def bury(tx: Tx, table: Table, stones: Sequence[Tombstone]) -> None:
    """Take records out of their table and keep their tombstones."""
    await tx.executemany(f"DELETE FROM {quoted(table.name)} WHERE Id=?", [(stone.id,) for stone in stones])
    await tx.executemany(
        'INSERT INTO _rts_tombstone (object, id, deleted_at, stamp, seen, until, master, "values")'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " deleted_at=excluded.deleted_at, stamp=excluded.stamp, seen=excluded.seen, until=excluded.until,"
        " master=COALESCE(excluded.master, master),"
        ' "values"=COALESCE(excluded."values", "values")',
        [
            (
                table.name,
                stone.id,
                stone.deleted_at,
                *stone.version,
                stone.master,
                msgspec.json.encode(stone.values).decode() if stone.values is not None else None,
            )
            for stone in stones
        ],
    )


async def unbury(tx: Tx, table: Table, ids: Sequence[str]) -> None:
    """Drop the tombstones of records that are back."""
    await tx.executemany(
        "DELETE FROM _rts_tombstone WHERE object=? AND id=?", [(table.name, one) for one in ids]
    )


async def count(database: Database, table: Table, created_before: str | None = None) -> int:
    """How many rows the object has, or how many of them were created before then."""
    where, parameters = ("WHERE CreatedDate < ?", (created_before,)) if created_before else ("", ())
    ((rows,),) = await database.fetch(f"SELECT COUNT(*) FROM {quoted(table.name)} {where}", parameters)
    return int(rows)


async def histogram(database: Database, table: Table, before: str) -> dict[str, int]:
    """Rows by the day of their stamp, those stamped before then.

    It skips from day to day along the stamp's index: a GROUP BY on an expression would sort every row.
    """
    cursor, name = quoted(table.schema.cursor or "Id"), quoted(table.name)
    rows = await database.fetch(
        "WITH RECURSIVE days(day) AS ("
        f" SELECT substr(MIN({cursor}), 1, 10) FROM {name} WHERE {cursor} < ?1"
        " UNION ALL"
        f" SELECT (SELECT substr(MIN({cursor}), 1, 10) FROM {name} WHERE {cursor} >= day || 'U'"
        f" AND {cursor} < ?1) FROM days WHERE day IS NOT NULL)"
        f" SELECT day, (SELECT COUNT(*) FROM {name} WHERE {cursor} >= day AND {cursor} < day || 'U'"
        f" AND {cursor} < ?1) FROM days WHERE day IS NOT NULL",
        (before,),
    )
    return dict(rows)


async def count_since(database: Database, table: Table, since: str, before: str = "9999") -> int:
    """How many rows are stamped from `since` until before `before`."""
    cursor = quoted(table.schema.cursor or "Id")
    ((rows,),) = await database.fetch(
        f"SELECT COUNT(*) FROM {quoted(table.name)} WHERE {cursor} >= ? AND {cursor} < ?", (since, before)
    )
    return int(rows)


async def stamps(database: Database, table: Table, since: str, before: str) -> dict[str, str]:
    """The ids stamped from `since` until before `before`, with their stamps."""
    cursor = quoted(table.schema.cursor or "Id")
    rows = await database.fetch(
        f"SELECT Id, {cursor} FROM {quoted(table.name)} WHERE {cursor} >= ? AND {cursor} < ?",
        (since, before),
    )
    return dict(rows)


async def stamps_of(database: Database, table: Table, ids: Iterable[str]) -> dict[str, str]:
    """The stamps of these records, those that are in the mirror."""
    cursor = quoted(table.schema.cursor or "Id")
    wanted = msgspec.json.encode(list(ids)).decode()
    rows = await database.fetch(f"SELECT Id, {cursor} FROM {quoted(table.name)} {_BY_IDS}", (wanted,))
    return dict(rows)


async def unsettled(database: Database, table: Table, since: str) -> set[str]:
    """The rows stamped from `since` that were seen before the second of their stamp was over."""
    cursor = quoted(table.schema.cursor or "Id")
    rows = await database.fetch(
        f"SELECT Id FROM {quoted(table.name)} WHERE {cursor} >= ?"
        f" AND _rts_seen < CAST(strftime('%s', {cursor}) AS INTEGER) * 1000 + 1000",
        (since,),
    )
    return {row[0] for row in rows}


async def versions_of(database: Database, table: Table, ids: Iterable[str]) -> dict[str, tuple[str, Millis]]:
    """The stamps of these records, and when each was seen like that at the earliest (ms)."""
    cursor = quoted(table.schema.cursor or "Id")
    wanted = msgspec.json.encode(list(ids)).decode()
    rows = await database.fetch(
        f"SELECT Id, {cursor}, _rts_seen FROM {quoted(table.name)} {_BY_IDS}", (wanted,)
    )
    return {one: (stamp or "", seen) for one, stamp, seen in rows}


async def record(database: Database, table: Table, record_id: str) -> dict[str, Any] | None:
    """One record as it stands: `{"state": "live" | "deleted", "values": …, …}`; None if never seen."""
    width = len(table.columns)
    for row in await database.fetch(f"{table.select} WHERE Id=?", (record_id,)):
        return {
            "state": "live",
            "values": dict(zip(table.columns, row[:width], strict=True)),
            "seen_at": to_iso(row[width]),
            "source": row[width + 2],
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
