"""Fields that change their type on PostgreSQL, below what users have built on their columns."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from rtsd.core.change import Source, Version
from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.store import mirror, mirror_writer, objects
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.mirror_writer import MirrorRow
from rtsd.store.schema import Ensured, Table
from tests.support.csv_text import csv_text
from tests.support.postgres import PostgresMirror

ID, STAMP = "003000000000001AAA", "2026-03-01T10:00:00.000Z"
VALUES: dict[Kind, tuple[Any, str]] = {
    Kind.TEXT: ("x", "x"),
    Kind.BOOLEAN: (1, "true"),
    Kind.INT: (-7, "-7.0"),
    Kind.REAL: (1e-300, "1e-300"),
    Kind.DATE: ("1700-01-31", "1700-01-31"),
    Kind.DATETIME: ("2026-03-01T10:00:00.007Z", "2026-03-01T10:00:00.007+0000"),
    Kind.TIME: ("23:59:59.999Z", "23:59:59.999Z"),
}
"""A value of each kind, and as Salesforce writes it in CSV."""


@pytest.fixture
async def database(place: PostgresMirror) -> AsyncIterator[Database]:
    """An open mirror."""
    async with await place.engine().open() as opened:
        yield opened


def described(kind: Kind, salesforce_type: str = "") -> ObjectSchema:
    """An object with a field of a kind."""
    fields = (
        Field("Id", "id", Kind.TEXT),
        Field("Size__c", salesforce_type or kind.value, kind),
        Field("SystemModstamp", "datetime", Kind.DATETIME),
    )
    return ObjectSchema("Thing", fields, cursor="SystemModstamp")


async def ensured(database: Database, kind: Kind, known: Table | None = None) -> Ensured:
    """Make or change the table."""
    async with database.transaction() as tx:
        return await tables.ensure(tx, Table(described(kind), database.dialect), known)


async def put(database: Database, table: Table, value: Any, *, is_new: bool) -> None:
    """Write the row."""
    row = MirrorRow(
        {"Id": ID, "Size__c": value, "SystemModstamp": STAMP},
        Version(STAMP, 1, 2),
        Source.PUSH,
        changed=("Size__c",),
    )
    async with database.transaction() as tx:
        await mirror_writer.put(tx, table, [row], () if is_new else (ID,))


async def read(database: Database, table: Table) -> Any:
    """Read it."""
    found = await mirror.record(database, table, ID)
    return None if found is None else found["values"].get("Size__c")


def do(place: PostgresMirror, *statements: str) -> list[Any]:
    """Run statements as the user that rtsd connects as; return the rows of the last."""
    rows: list[Any] = []
    with place.connected() as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


async def test_what_does_not_depend_on_the_type_stays(place: PostgresMirror, database: Database) -> None:
    """Grants on the table and the column, a user's index, statistics, a view on other columns."""
    await ensured(database, Kind.INT)
    reader, thing = f"reader_{place.schema}", f"{place.schema}.thing"
    with psycopg.connect(place.url.replace("user=rts", "user=postgres"), autocommit=True) as administrator:
        administrator.execute(f"CREATE ROLE {reader}".encode())
    do(
        place,
        f"GRANT SELECT (id, size__c) ON {thing} TO {reader}",
        f"CREATE INDEX mine ON {thing} (size__c, id)",
        f"CREATE STATISTICS {place.schema}.correlated ON id, size__c FROM {thing}",
        f"CREATE VIEW {place.schema}.ids AS SELECT id FROM {thing}",
    )
    found = await ensured(database, Kind.TEXT)
    assert (found.changed, found.table.kept, found.table.hindrance) == (["Size__c"], frozenset(), "")
    ((may, index, view),) = do(
        place,
        f"SELECT has_column_privilege('{reader}', '{thing}', 'size__c', 'SELECT'),"
        f" pg_get_indexdef('{place.schema}.mine'::regclass), to_regclass('{place.schema}.ids')::text",
    )
    assert (may, view) == (True, "ids")
    assert "size__c" in index
    assert (await database.fetch(*database.dialect.columns_of("Thing")))[1] == ("size__c", "text")


@pytest.mark.parametrize(
    "kind", [kind for kind in Kind if kind is not Kind.TEXT], ids=lambda kind: kind.value
)
async def test_a_text_below_a_view_stays_text_and_holds_every_kind(
    place: PostgresMirror, database: Database, kind: Kind
) -> None:
    """By changes, loads and refreshes the value is the same; the view sees its text, and is not dropped."""
    value, text = VALUES[kind]
    await put(database, (await ensured(database, Kind.TEXT)).table, "soon", is_new=True)
    view = f"{place.schema}.sizes"
    do(place, f"CREATE VIEW {view} AS SELECT size__c FROM {place.schema}.thing")
    found = await ensured(database, kind)
    assert (found.changed, found.table.kept, found.table.hindrance) == (["Size__c"], {"Size__c"}, "")
    table = found.table
    assert await read(database, table) is None
    await put(database, table, value, is_new=False)
    assert await read(database, table) == value
    ((seen,),) = do(place, f"SELECT size__c FROM {view}")
    assert isinstance(seen, str)
    async with database.transaction() as tx:
        assert await mirror_writer.refresh(tx, table, ("Size__c",), [[ID, STAMP, text]]) == 0
        await tx.execute("DELETE FROM Thing")
        page = csv_text(table.columns, [[ID, text, STAMP]])
        if not await tx.loader.load_text(tx, table, page, Version("", 1, 2)):
            await mirror_writer.load_rows(tx, table, table.columns, [[ID, text, STAMP]], Version("", 1, 2))
    assert await read(database, table) == value
    assert do(place, f"SELECT size__c FROM {view}") == [(seen,)]
    again = await ensured(database, kind, table)
    assert (again.changed, again.table) == ([], table)
    do(place, f"DROP VIEW {view}")
    freed = await ensured(database, kind, table)
    assert (freed.changed, freed.table.kept) == (["Size__c"], frozenset())
    await put(database, freed.table, value, is_new=False)
    assert await read(database, freed.table) == value


async def test_what_stays_is_known_after_a_restart(place: PostgresMirror, database: Database) -> None:
    """It is stored with the object, and forgotten once the column is free."""
    async with database.transaction() as tx:
        await objects.add(tx, "Thing")
    before = (await objects.load(database))["Thing"]
    for kept, hindrance in (({"Size__c"}, ""), (set(), "why"), (set(), "")):
        table = Table(described(Kind.INT), database.dialect, frozenset(kept), hindrance)
        async with database.transaction() as tx:
            after = dataclasses.replace(before, table=table)
            await objects.save(tx, before, after)
        before = (await objects.load(database))["Thing"]
        assert before.table == table


DEPENDENTS = {
    "view": "CREATE VIEW {schema}.sizes AS SELECT size__c FROM {thing}",
    "materialized view": "CREATE MATERIALIZED VIEW {schema}.sizes AS SELECT size__c FROM {thing}",
    "rule": "CREATE RULE noted AS ON UPDATE TO {thing} WHERE old.size__c > 3 DO ALSO SELECT 1",
    "expression": "CREATE INDEX doubled ON {thing} ((size__c * 2))",
    "partial index": "CREATE INDEX large ON {thing} (id) WHERE size__c > 100",
    "check": "ALTER TABLE {thing} ADD CONSTRAINT positive CHECK (size__c > -100)",
    "policy": "CREATE POLICY small ON {thing} USING (size__c < 100)",
    "default": "ALTER TABLE {thing} ALTER COLUMN size__c SET DEFAULT 7",
    "generated": "ALTER TABLE {thing} ADD COLUMN mine integer GENERATED ALWAYS AS (size__c * 2) STORED",
    "definition": "CREATE TRIGGER sized BEFORE UPDATE OF size__c ON {thing} FOR EACH ROW"
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
}


@pytest.mark.parametrize("what", DEPENDENTS)
async def test_a_column_that_cannot_change_is_named_with_what_helps(
    place: PostgresMirror, database: Database, what: str
) -> None:
    """The field is left out, nothing of the user's is touched, and the statement frees the column."""
    table = (await ensured(database, Kind.INT)).table
    await put(database, table, 5, is_new=True)
    do(place, DEPENDENTS[what].format(schema=place.schema, thing=f"{place.schema}.thing"))
    found = await ensured(database, Kind.TEXT)
    assert (found.changed, found.table.columns) == ([], ("Id", "SystemModstamp"))
    assert "Size__c" in found.table.schema.unmirrored
    reason = found.table.hindrance
    assert "Size__c is of type text now, but its column cannot change from integer to text" in reason
    assert do(place, f"SELECT size__c FROM {place.schema}.thing") == [(5,)]
    statement = reason.partition("Run: ")[2].partition("; rtsd")[0]
    if what == "definition":
        assert statement.startswith("drop the trigger sized")
        statement = f"DROP TRIGGER sized ON {place.schema}.thing"
    do(place, statement)
    freed = await ensured(database, Kind.TEXT, found.table)
    assert (freed.changed, freed.table.hindrance) == (["Size__c"], "")
