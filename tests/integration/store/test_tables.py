"""Typed tables from describes, and CSV that the engine converts just as `core.values` does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsd.core.change import Version
from rtsd.core.instant import to_iso
from rtsd.core.schema import Field, Kind, ObjectSchema, kind_of
from rtsd.core.values import mirror_value
from rtsd.store import mirror, mirror_writer
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.schema import Table
from rtsd.store.sqlite import indexes
from tests.support.csv_text import csv_text
from tests.support.mirror import ENGINE, mirror_at, sqlite_only

# contract 4
DECLARED = {
    **dict.fromkeys(("string", "textarea", "id", "reference", "picklist", "multipicklist", "email"), "TEXT"),
    **dict.fromkeys(("url", "phone", "encryptedstring", "combobox", "anyType", "new in 2030"), "TEXT"),
    "boolean": "INTEGER",
    "int": "INTEGER",
    **dict.fromkeys(("double", "currency", "percent"), "REAL"),
    **dict.fromkeys(("date", "datetime", "time"), "TEXT"),
}
HOSTILE = ["Order", "Group", 'a"b', "a'b", "a]b", "ünï", "x; DROP TABLE _rts_meta; --", "select", "Id2"]


def schema(name: str, *fields: Field) -> ObjectSchema:
    """An object with these fields beside Id and the stamp."""
    first = Field("Id", "id", Kind.TEXT)
    stamp = Field("SystemModstamp", "datetime", Kind.DATETIME)
    return ObjectSchema(name, (first, *fields, stamp), cursor="SystemModstamp")


async def columns(database: Database, name: str) -> dict[str, str]:
    """A table's columns and their declared types."""
    return dict(await database.fetch(*database.dialect.columns_of(name)))


async def make(database: Database, described: ObjectSchema) -> tuple[Table, list[str]]:
    """Make or widen a table."""
    table = Table(described, database.dialect)
    async with database.transaction() as tx:
        added = (await tables.ensure(tx, table)).changed
    return table, added


@sqlite_only("PostgreSQL's types are in engines/test_postgres.py")
async def test_every_type_has_its_declared_column(database: Database) -> None:
    """Contract 4, type by type; Id is the primary key, our own columns come last."""
    fields = [Field(f"F{place}", name, kind_of(name)) for place, name in enumerate(DECLARED)]
    await make(database, schema("Thing", *fields))
    found = await columns(database, "Thing")
    assert [found[field.name] for field in fields] == list(DECLARED.values())
    own = [name.startswith("_rts_") for name in found]
    assert own == sorted(own)
    ((key,),) = await database.fetch("SELECT name FROM pragma_table_info('Thing') WHERE pk=1")
    assert key == "Id"


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_only_names(database: Database, name: str) -> None:
    """As a table and as a column: made, widened, indexed, written and read."""
    reference = Field(name, "reference", Kind.TEXT)
    table, _ = await make(database, schema(name, reference))
    table, added = await make(database, schema(name, reference, Field(f"{name}2", "string", Kind.TEXT)))
    assert added == [f"{name}2"]
    assert {table.dialect.name(name), table.dialect.name(f"{name}2")} <= set(await columns(database, name))
    async with database.transaction() as tx:
        row = ["003000000000001AAA", "v", "w", "2026-03-01T10:00:00.000Z"]
        await mirror_writer.load_rows(tx, table, table.columns, [row], Version("", 1, 2))
        known = await mirror.known(tx, table, [row[0]])
    assert known[row[0]].row == dict(zip(table.columns, row, strict=True))
    assert await mirror.count(database, table) == 1
    assert await database.fetch("SELECT COUNT(*) FROM _rts_meta") is not None


async def test_a_table_is_widened_never_narrowed(database: Database) -> None:
    """New fields become columns, removed ones keep theirs, and doing it twice changes nothing."""
    a, b, c = (Field(name, "string", Kind.TEXT) for name in "ABC")
    assert (await make(database, schema("Thing", a, b)))[1] == []
    assert (await make(database, schema("Thing", b, c)))[1] == ["C"]
    assert (await make(database, schema("Thing", b, c)))[1] == []
    assert {database.dialect.name(field) for field in "ABC"} <= set(await columns(database, "Thing"))


@sqlite_only("PostgreSQL's plans for tables this small say nothing")
@pytest.mark.parametrize("small", [-1, indexes.SMALL])
async def test_references_and_stamps_are_indexed(
    database: Database, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    """Joins and windows do not read the whole table, whichever way the index was built."""
    monkeypatch.setattr(indexes, "SMALL", small)
    table, _ = await make(database, schema("Thing", Field('Account"Id', "reference", Kind.TEXT)))
    await database.build_indexes(table)
    await database.build_indexes(table)
    for column in ('"Account""Id"', "SystemModstamp"):
        plan = await database.fetch(f"EXPLAIN QUERY PLAN SELECT Id FROM Thing WHERE {column}='x'")
        assert "USING" in plan[0][3], plan


def test_a_schema_survives_its_storage() -> None:
    """What a restart finds is what the describe said."""
    field = Field("F", "reference", Kind.TEXT, calculated=True, filterable=False)
    described = schema("Thing", field)
    assert tables.decode_schema(tables.encode_schema(described)) == described


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
MOMENTS = st.integers(0, 4_102_444_800_000).map(to_iso)
INTS = st.integers(-(2**63), 2**63 - 1) if ENGINE == "sqlite" else st.integers(-(2**31), 2**31 - 1)
CELLS: dict[Kind, st.SearchStrategy[str]] = {
    Kind.TEXT: TEXT | st.sampled_from(["007", "1e5", " 1 ", "0x10", "nan", "true", "2026-03-01"]),
    Kind.BOOLEAN: st.sampled_from(["true", "false"]),
    Kind.INT: INTS.map(str) | st.integers(-(10**9), 10**9).map("{}.0".format),
    Kind.REAL: st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.integers(-(10**15), 10**15).map(str)
    | st.decimals(-(10**12), 10**12, places=4).map(str),
    Kind.DATE: st.dates().map(str),
    Kind.DATETIME: MOMENTS | MOMENTS.map(lambda text: text.replace("Z", "+0000")),
    Kind.TIME: MOMENTS.map(lambda text: text[11:]),
}
ALL = schema("Thing", *(Field(kind.name, "x", kind) for kind in Kind))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Database]]:
    """One table for all examples."""
    with asyncio.Runner() as runner:
        path: Path = tmp_path_factory.mktemp("tables") / "mirror.db"
        database = runner.run(mirror_at(path).engine().open())
        runner.run(make(database, ALL))
        yield runner, database
        runner.run(database.close())


@settings(max_examples=250)
@given(
    st.lists(st.fixed_dictionaries({kind: st.just("") | cell for kind, cell in CELLS.items()}), max_size=5),
    st.booleans(),
)
def test_csv_is_converted_as_json_is(
    shared: tuple[asyncio.Runner, Database],
    cells: list[dict[Kind, str]],
    as_text: bool,  # noqa: FBT001
) -> None:
    """What the engine makes of a cell is, in value and type, what `core.values` makes; in both loads."""
    runner, database = shared
    table = Table(ALL, database.dialect)
    stamp = "2026-03-01T10:00:00.000Z"

    async def load() -> list[tuple[object, ...]]:
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM Thing")
            rows = [
                [f"003{place:012d}AAA", *(row[kind] for kind in Kind), stamp]
                for place, row in enumerate(cells)
            ]
            if as_text:
                text = csv_text(table.columns, rows)
                is_loaded = await tx.loader.load_text(tx, table, text, Version("", 1, 2))
                assert is_loaded or ENGINE != "sqlite"  # PostgreSQL's COPY leaves 5.0 to the other load
            if not (as_text and is_loaded):
                await mirror_writer.load_rows(tx, table, table.columns, rows, Version("", 1, 2))
        names = table.list_of(kind.name for kind in Kind)
        return await database.fetch(f"SELECT {names} FROM Thing ORDER BY Id")

    found = runner.run(load())
    expected = [tuple(mirror_value(kind, row[kind]) for kind in Kind) for row in cells]
    assert found == expected
    assert [[type(value) for value in row] for row in found] == [
        [type(value) for value in row] for row in expected
    ]
