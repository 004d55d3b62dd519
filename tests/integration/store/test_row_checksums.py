"""Row checksums: a row that changed without a write is reported until it is written."""

from __future__ import annotations

import pytest

from rtsd.core.change import Version
from rtsd.store import mirror_writer, row_checksums
from rtsd.store.database import Database
from rtsd.store.schema import Table
from tests.support.text_table import COLUMNS, record_id, text_row, text_table

ROWS = 2_500
"""Three blocks."""


@pytest.fixture
async def table(database: Database) -> Table:
    """A table with rows, each of which has a checksum."""
    table = await text_table(database)
    rows = [text_row(place, f"n{place}") for place in range(ROWS)]
    async with database.transaction() as tx:
        await mirror_writer.load_rows(tx, table, COLUMNS, rows, Version("", 1, 2))
    first = await row_checksums.check(database, table, COLUMNS)
    assert (first.rows, first.checksummed, first.broken) == (ROWS, 0, [])
    return table


async def change(database: Database, sql: str) -> None:
    """Change the table without a new version."""
    async with database.transaction() as tx:
        await tx.execute(sql)


async def test_rows_as_they_were_are_not_broken(database: Database, table: Table) -> None:
    """Every row is counted, in blocks with and without a change."""
    for _ in range(2):
        found = await row_checksums.check(database, table, COLUMNS)
        assert (found.rows, found.checksummed, found.broken) == (ROWS, ROWS, [])


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        (f"UPDATE Thing SET Name='x' WHERE Id='{record_id(3)}'", {record_id(3)}),
        (f"UPDATE Thing SET Name=NULL WHERE Id='{record_id(2_499)}'", {record_id(2_499)}),
        (f"UPDATE Thing SET Id='other' WHERE Id='{record_id(1_500)}'", {record_id(1_500), "other"}),
        (f"DELETE FROM Thing WHERE Id='{record_id(0)}'", {record_id(0)}),
        ("DELETE FROM Thing WHERE rowid >= 2048", {record_id(place) for place in range(2_047, ROWS)}),
    ],
)
async def test_what_changed_without_a_write_is_named_again(
    database: Database, table: Table, sql: str, broken: set[str]
) -> None:
    """At the next check, and at the one after it, though a neighbour was written meanwhile."""
    await change(database, sql)
    assert set((await row_checksums.check(database, table, COLUMNS)).broken) == broken
    await change(database, f"UPDATE Thing SET Name='y', _rts_seen=5 WHERE Id='{record_id(4)}'")
    again = await row_checksums.check(database, table, COLUMNS)
    assert set(again.broken) <= broken
    if "SET Name" in sql:
        assert set(again.broken) == broken
    await change(database, "UPDATE Thing SET _rts_seen=6")
    assert (await row_checksums.check(database, table, COLUMNS)).broken == []


async def test_a_written_row_is_not_broken(database: Database, table: Table) -> None:
    """Its version is new, and so is its checksum; the others of its block still have theirs."""
    await change(database, f"UPDATE Thing SET Name='y', _rts_seen=5 WHERE Id='{record_id(4)}'")
    found = await row_checksums.check(database, table, COLUMNS)
    assert (found.checksummed, found.broken) == (ROWS - 1, [])
    found = await row_checksums.check(database, table, COLUMNS)
    assert (found.checksummed, found.broken) == (ROWS, [])


async def test_other_columns_are_other_checksums(database: Database, table: Table) -> None:
    """A field that is mirrored anew is no change of every row."""
    found = await row_checksums.check(database, table, COLUMNS[:2])
    assert (found.checksummed, found.broken) == (0, [])
