"""Row checksums: a row that changed without a write is reported until it is written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from rtsd.core.change import Version
from rtsd.store import mirror_writer, row_checksums
from rtsd.store.database import Database
from rtsd.store.row_checksums import BLOCK, MOST, Checked
from rtsd.store.schema import Table
from rtsd.store.sqlite.library import pysqlite3
from tests.support.mirror import mirror_at, sqlite_only
from tests.support.text_table import COLUMNS, record_id, text_row, text_table

ROWS = 2_500
"""Three blocks."""
BESIDE = record_id(1_500).replace("AAA", "AAB")
"""An Id in the block of row 1,500."""


async def write(database: Database, table: Table, places: Iterable[int], seen: int = 1) -> None:
    """Write rows as a load does."""
    rows = [text_row(place, f"n{place}") for place in places]
    async with database.transaction() as tx:
        await mirror_writer.load_rows(tx, table, COLUMNS, rows, Version("", seen, seen + 1))


async def check(database: Database, table: Table) -> Checked:
    """Check the rows; a block is neither empty nor too large."""
    found = await row_checksums.check(database, table, COLUMNS)
    sizes = await block_sizes(database)
    assert sum(sizes) == found.rows
    assert all(0 < size < MOST for size in sizes)
    return found


async def block_sizes(database: Database) -> list[int]:
    """The number of rows in each block."""
    blocks = await database.fetch("SELECT checksums FROM _rts_row_checksum ORDER BY block")
    return [len(decoded(checksums)) for (checksums,) in blocks]


def decoded(checksums: bytes) -> dict[int, object]:
    """The checksums of a block."""
    return msgspec.msgpack.decode(checksums, type=dict[int, object])


@pytest.fixture
async def table(database: Database) -> Table:
    """A table with rows, each of which has a checksum."""
    table = await text_table(database)
    await write(database, table, range(ROWS))
    first = await check(database, table)
    assert (first.rows, first.checksummed, first.broken) == (ROWS, 0, [])
    assert await block_sizes(database) == [BLOCK, BLOCK, ROWS - 2 * BLOCK]
    return table


async def change(database: Database, table: Table, sql: str) -> None:
    """Change the table without a new version."""
    async with database.transaction() as tx:
        await tx.execute(sql.format(table.sql_name))


async def test_rows_as_they_were_are_not_broken(database: Database, table: Table) -> None:
    """Every row is counted, in blocks with and without a change."""
    for _ in range(2):
        found = await check(database, table)
        assert (found.rows, found.checksummed, found.broken) == (ROWS, ROWS, [])


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        (f"UPDATE {{}} SET Name='x' WHERE Id='{record_id(3)}'", {record_id(3)}),
        (f"UPDATE {{}} SET Name=NULL WHERE Id='{record_id(2_499)}'", {record_id(2_499)}),
        (f"UPDATE {{}} SET Id='{BESIDE}' WHERE Id='{record_id(1_500)}'", {record_id(1_500), BESIDE}),
        (f"DELETE FROM {{}} WHERE Id='{record_id(0)}'", {record_id(0)}),
        (f"DELETE FROM {{}} WHERE Id < '{record_id(1_100)}'", {record_id(place) for place in range(1_100)}),
        (
            f"DELETE FROM {{}} WHERE Id >= '{record_id(2_000)}'",
            {record_id(place) for place in range(2_000, ROWS)},
        ),
        ("DELETE FROM {}", {record_id(place) for place in range(ROWS)}),
    ],
)
async def test_what_changed_without_a_write_is_named_again(
    database: Database, table: Table, sql: str, broken: set[str]
) -> None:
    """At the next check, and at the one after it, though a neighbour was written meanwhile."""
    await change(database, table, sql)
    assert set((await check(database, table)).broken) == broken
    await change(database, table, f"UPDATE {{}} SET Name='y', _rts_seen=5 WHERE Id='{record_id(4)}'")
    again = await check(database, table)
    assert set(again.broken) <= broken
    if "SET Name" in sql:
        assert set(again.broken) == broken
    await change(database, table, "UPDATE {} SET _rts_seen=6")
    assert (await check(database, table)).broken == []


async def test_a_written_row_is_not_broken(database: Database, table: Table) -> None:
    """Its version is new, and so is its checksum; the others of its block still have theirs."""
    await change(database, table, f"UPDATE {{}} SET Name='y', _rts_seen=5 WHERE Id='{record_id(4)}'")
    found = await check(database, table)
    assert (found.checksummed, found.broken) == (ROWS - 1, [])
    found = await check(database, table)
    assert (found.checksummed, found.broken) == (ROWS, [])


async def test_rows_are_added_where_their_keys_sort(database: Database) -> None:
    """Into blocks that have checksums, which are split, before and after them."""
    table = await text_table(database)
    await write(database, table, range(1_000, 10_000, 4))
    rows = (await check(database, table)).rows
    for places in (range(1_002, 10_000, 4), range(500), range(10_000, 14_000), range(1_001, 10_000, 2)):
        await write(database, table, places)
        found = await check(database, table)
        assert (found.rows, found.checksummed, found.broken) == (rows + len(places), rows, [])
        rows = found.rows
    again = await check(database, table)
    assert (again.checksummed, again.broken) == (rows, [])


async def test_what_changed_shows_in_a_block_that_is_split(database: Database, table: Table) -> None:
    """The rows that no longer belong to it take their checksums along."""
    changed, gone = record_id(ROWS - 1), record_id(ROWS - 2)
    await write(database, table, range(ROWS, 2 * ROWS), seen=3)
    await change(database, table, f"UPDATE {{}} SET Name='x' WHERE Id='{changed}'")
    await change(database, table, f"DELETE FROM {{}} WHERE Id='{gone}'")
    found = await check(database, table)
    assert (set(found.broken), found.checksummed) == ({changed, gone}, ROWS - 1)


@sqlite_only("a file of an earlier version")
async def test_checksums_of_numbered_blocks_are_still_compared(tmp_path: Path) -> None:
    """Earlier versions numbered the blocks: what changed before the new version runs shows all the same."""
    path = tmp_path / "mirror.db"
    async with await mirror_at(path).engine().open() as database:
        table = await text_table(database)
        await write(database, table, range(ROWS))
        await check(database, table)
    number_blocks(path)
    async with await mirror_at(path).engine().open() as database:
        await change(database, table, f"UPDATE {{}} SET Name='x' WHERE Id='{record_id(2_100)}'")
        await change(database, table, f"DELETE FROM {{}} WHERE Id='{record_id(5)}'")
        found = await check(database, table)
        assert (set(found.broken), found.checksummed) == ({record_id(5), record_id(2_100)}, ROWS - 1)
        assert await block_sizes(database) == [BLOCK - 2, BLOCK, ROWS - 2 * BLOCK + 1]


def number_blocks(path: Path) -> None:
    """Store the checksums as version 11 of the schema did."""
    with closing(pysqlite3.connect(path, isolation_level=None)) as old:
        blocks = old.execute("SELECT columns, checksums FROM _rts_row_checksum ORDER BY block").fetchall()
        old.execute("DELETE FROM _rts_row_checksum")
        numbered: dict[int, dict[int, object]] = {}
        checksums = [value for _, block in blocks for value in decoded(block).values()]
        for rowid, checksum in enumerate(checksums, 1):
            numbered.setdefault(rowid // BLOCK, {})[rowid % BLOCK] = checksum
        old.executemany(
            "INSERT INTO _rts_row_checksum (object, block, columns, checksums) VALUES ('Thing', ?, ?, ?)",
            [(block, blocks[0][0], msgspec.msgpack.encode(places)) for block, places in numbered.items()],
        )
        old.execute("DROP TABLE _rts_view")  # of a later version
        old.execute("ALTER TABLE _rts_dead_letter DROP COLUMN tried_at")
        old.execute("PRAGMA user_version=11")


async def test_other_columns_are_other_checksums(database: Database, table: Table) -> None:
    """A field that is mirrored anew is no change of every row."""
    found = await row_checksums.check(database, table, COLUMNS[:2])
    assert (found.checksummed, found.broken) == (0, [])
    assert sum(await block_sizes(database)) == ROWS
