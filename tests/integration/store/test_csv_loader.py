"""Loads of CSV text by the engine: byte-exact, all or nothing, and never over what the mirror knows."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rtsd.core.change import Version
from rtsd.store import mirror_writer
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.mirror_writer import Tombstone
from rtsd.store.schema import Table
from rtsd.store.sqlite import csv_extension
from rtsd.store.sqlite.csv_loader import CsvLoader
from rtsd.store.sqlite.database import SqliteDatabase
from tests.support.csv_text import csv_text
from tests.support.mirror import sqlite_only
from tests.support.text_table import STAMP, record_id, text_row, text_table

HOSTILE = [
    '"', '""', '"""', ",", '","', "\n", "\r\n", "\r", '"\n"', '",\n"', "a\nb,c", "\x01\x0b\x0c\x1c\x7f",
    "\u2028\u0085", "😀\n", "é" * 5_000, "x" * 131_072,
    '"' * 10_000, "'; DROP TABLE Thing; --", "\ufeff", " ", "\\", "NULL",
]  # fmt: skip
VERSION = Version("", 1, 2)


@pytest.fixture
async def table(database: Database) -> Table:
    """A table of one text."""
    return await text_table(database)


async def load(database: Database, table: Table, rows: list[list[str]], count: int | None = None) -> bool:
    """Load rows as text, in a transaction of their own."""
    text = csv_text(table.columns, rows)
    if count is not None:
        text = type(text)(text.columns, text.pieces, count, text.parse)
    async with database.transaction() as tx:
        return await tx.loader.load_text(tx, table, text, VERSION)


async def texts(database: Database) -> list[str | None]:
    """The texts in the table."""
    return [text for (text,) in await database.fetch("SELECT Name FROM Thing ORDER BY Id")]


async def test_hostile_texts_are_byte_exact(database: Database, table: Table) -> None:
    """Quotes, separators, line breaks, controls and long texts come as they were sent; empty is null."""
    assert await load(database, table, [text_row(place, text) for place, text in enumerate([*HOSTILE, ""])])
    assert await texts(database) == [*HOSTILE, None]
    ((partial, source),) = await database.fetch("SELECT DISTINCT _rts_partial, _rts_source FROM Thing")
    assert (partial, source) == (0, "audit")


async def test_loads_follow_each_other(database: Database, table: Table) -> None:
    """A shorter text after a longer one leaves nothing of it; a rolled back load neither."""
    with suppress(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.loader.load_text(tx, table, csv_text(table.columns, [text_row(9, "gone")]), VERSION)
            raise ZeroDivisionError
    for rows in ([text_row(1, "a" * 10_000), text_row(2, "b")], [text_row(3, "c")], []):
        async with database.transaction() as tx:
            assert await tx.loader.load_text(tx, table, csv_text(table.columns, rows), VERSION)
    assert await texts(database) == ["a" * 10_000, "b", "c"]


@sqlite_only("loaders of the csv extension")
async def test_loaders_read_their_own_text(database: Database, table: Table) -> None:
    """Two loaders on one connection have a file each, also once the first is gone."""
    loaders = [CsvLoader(), CsvLoader()]
    for place, loader in enumerate([*loaders, loaders[1]]):
        async with database.transaction() as tx:
            assert await loader.load_text(tx, table, csv_text(table.columns, [text_row(place, "x")]), VERSION)
        loaders[0] = loader
    assert await texts(database) == ["x"] * 3


async def test_a_known_row_refuses_the_load(database: Database, table: Table) -> None:
    """A row that a push brought meanwhile stays, and nothing beside it is inserted."""
    assert await load(database, table, [text_row(2, "pushed")])
    assert not await load(database, table, [text_row(1, "a"), text_row(2, "read"), text_row(3, "c")])
    assert await texts(database) == ["pushed"]


async def test_a_deleted_row_refuses_the_load(database: Database, table: Table) -> None:
    """So does a tombstone."""
    async with database.transaction() as tx:
        gone = Tombstone(record_id(2), Version(STAMP, 1, 2), STAMP, None, None)
        await mirror_writer.add_tombstones(tx, table, [gone])
    assert not await load(database, table, [text_row(1, "a"), text_row(2, "read")])
    assert await texts(database) == []


@pytest.mark.parametrize(
    "damaged", [["003000000000009AAA", "a"], ["003000000000009AAA", "a", STAMP, "b"], [""]]
)
async def test_another_width_refuses_the_load(database: Database, table: Table, damaged: list[str]) -> None:
    """A record with a value too few or too many shifts nothing."""
    assert not await load(database, table, [text_row(1, "a"), damaged])
    assert await texts(database) == []


async def test_another_count_refuses_the_load(database: Database, table: Table) -> None:
    """The engine has to find as many records as were counted."""
    assert not await load(database, table, [text_row(1, "a"), text_row(2, "b")], count=3)
    assert await texts(database) == []


@sqlite_only("the csv extension")
async def test_without_the_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
    """Where it can't be found, or is damaged, every load is left to Python."""
    damaged = tmp_path / "csv.so"
    damaged.write_bytes(b"no library")
    for file in (None, damaged):
        monkeypatch.setattr(csv_extension, "extension", lambda file=file: file)
        async with await SqliteDatabase.open(tmp_path / f"{file is None}.db") as database:
            async with database.transaction() as tx:
                await tables.ensure(tx, table)
            assert not await load(database, table, [text_row(1, "a")])


@sqlite_only("extensions of the library")
async def test_nobody_else_may_load_extensions(database: Database, table: Table) -> None:
    """The writer's connection takes no other extension, and apsw's own SQLite is not in the process."""
    with pytest.raises(Exception, match="not authorized"):
        async with database.transaction() as tx:
            await tx.execute("SELECT load_extension('anything')")
    assert "apsw" not in sys.modules


@sqlite_only("the file of the csv extension")
async def test_the_file_is_closed_with_its_loader(database: Database, table: Table) -> None:
    """No descriptor stays behind."""
    before = _open_files()
    async with database.transaction() as tx:
        assert await CsvLoader().load_text(tx, table, csv_text(table.columns, [text_row(1, "a")]), VERSION)
    gc.collect()
    assert _open_files() <= before


def _open_files() -> set[tuple[str, int]]:
    """The files of loads, by descriptor and inode."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if "memfd:rtsd-load" in str(descriptor.readlink()):
                found.add((descriptor.name, descriptor.stat().st_ino))
    return found
