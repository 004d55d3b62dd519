"""Writing rows of the mirror: whole as they are to stand, and no more of them than changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from rtsd.core.change import Source, Version
from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.core.values import MirrorValue
from rtsd.store import mirror_writer
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.mirror_writer import MirrorRow
from tests.support.full_disk import refuse_rows

SCHEMA = ObjectSchema(
    "Contact",
    (
        Field("Id", "id", Kind.TEXT),
        Field("Name", "string", Kind.TEXT),
        Field("OwnerId", "reference", Kind.TEXT),
        Field("SystemModstamp", "datetime", Kind.DATETIME),
    ),
    cursor="SystemModstamp",
)
FIRST, SECOND = "2026-03-01T10:00:00.000Z", "2026-03-01T10:00:01.000Z"


def _row(record_id: str, name: str | None, stamp: str, seen: int, *, partial: bool = False) -> MirrorRow:
    values: dict[str, MirrorValue] = {
        "Id": record_id,
        "Name": name,
        "OwnerId": f"owner of {record_id}",
        "SystemModstamp": stamp,
    }
    return MirrorRow(values, Version(stamp, seen, seen), Source.PUSH, partial, ("Name", "SystemModstamp"))


@pytest.fixture
async def standing(database: Database) -> Database:
    """A mirror in which A and B stand."""
    table = tables.Table(SCHEMA, database.dialect)
    async with database.transaction() as tx:
        await tables.ensure(tx, table)
        await mirror_writer.put(tx, table, [_row("A", "one", FIRST, 1), _row("B", "two", FIRST, 1)], ())
    return database


async def _put(
    database: Database, rows: Sequence[MirrorRow], untouched: str, when: str = "true"
) -> list[tuple[Any, ...]]:
    """Put rows where A and B stand, without an update of the column `untouched`; return all rows."""
    table = tables.Table(SCHEMA, database.dialect)
    await refuse_rows(database, "Contact", f"UPDATE OF {untouched}", when)
    async with database.transaction() as tx:
        await mirror_writer.put(tx, table, rows, {"A", "B"})
    return await database.fetch(f"{table.select} ORDER BY Id")


async def test_rows_that_stand_are_written_where_they_change(standing: Database) -> None:
    """Rows end whole, new and standing ones alike; a column that no row changes is not written at all."""
    fresh = [
        _row("A", None, SECOND, 2),
        _row("B", "two", SECOND, 2, partial=True),
        _row("C", "new", SECOND, 2),
    ]
    found = await _put(standing, fresh, "OwnerId")
    assert found == [
        ("A", None, "owner of A", SECOND, 2, 2, "push", 0),
        ("B", "two", "owner of B", SECOND, 2, 2, "push", 1),
        ("C", "new", "owner of C", SECOND, 2, 2, "push", 0),
    ]


async def test_one_rows_index_is_not_another_rows_business(standing: Database) -> None:
    """Rows of one transaction that change in different indexed columns: each ends whole, in its own."""
    moved = replace(_row("A", "one", SECOND, 2), changed=("SystemModstamp",))
    renamed = replace(_row("B", "deux", FIRST, 2), changed=("Name",))
    found = await _put(standing, [moved, renamed], "SystemModstamp", "new.Id = 'B'")
    assert found == [
        ("A", "one", "owner of A", SECOND, 2, 2, "push", 0),
        ("B", "deux", "owner of B", FIRST, 2, 2, "push", 0),
    ]
