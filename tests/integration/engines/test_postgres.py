"""What is PostgreSQL's own: wherever it is installed, whichever engine the other tests have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rtsd.core.change import Version
from rtsd.core.schema import Field, Kind, ObjectSchema, kind_of
from rtsd.errors import (
    ConfigError,
    ForeignDatabase,
    NewerDatabase,
    RtsError,
    StorageAway,
    StorageFull,
    StorageUnwritable,
    StoreError,
)
from rtsd.store import meta, mirror, mirror_writer
from rtsd.store import schema as schemas
from rtsd.store.database import AMONG, Database
from rtsd.store.postgres.engine import PostgresEngine
from rtsd.store.postgres.migrations import MIGRATIONS
from rtsd.store.postgres.server import Server
from rtsd.store.postgres.sql import Translation
from rtsd.store.schema import Table
from tests.support.csv_text import csv_text
from tests.support.postgres import PostgresMirror
from tests.support.waiting import eventually

SECRET = "s3cret-of-the-tests"
VERSION = Version("", 1, 2)
STAMP = "2026-03-01T10:00:00.000Z"
HOSTILE = [
    '"', '""', '","', "\n", "\r\n", "\\", "\\.", "\\N", "NULL", "\ufeff", " ", "'; DROP TABLE x; --", "é😀",
]  # fmt: skip


@pytest.fixture
async def database(place: PostgresMirror) -> AsyncIterator[Database]:
    """An open mirror."""
    async with await place.engine().open() as opened:
        yield opened


def administered(server: str, *statements: str) -> list[Any]:
    """Run statements as the superuser; return the rows of the last."""
    rows: list[Any] = []
    with psycopg.connect(server.replace("user=rts", "user=postgres"), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


def described(name: str, *fields: Field) -> ObjectSchema:
    """An object with these fields beside Id and the stamp."""
    stamp = Field("SystemModstamp", "datetime", Kind.DATETIME)
    return ObjectSchema(name, (Field("Id", "id", Kind.TEXT), *fields, stamp), cursor="SystemModstamp")


async def make(database: Database, schema: ObjectSchema) -> Table:
    """Make or widen a table."""
    table = Table(schema, database.dialect)
    async with database.transaction() as tx:
        await schemas.ensure(tx, table)
    return table


async def test_columns_have_the_contracts_names_and_types(database: Database) -> None:
    """Contract section 9: lower case, real types, ids by bytes, our own columns last."""
    declared = {
        "boolean": "boolean",
        "int": "integer",
        **dict.fromkeys(("double", "currency", "percent"), "double precision"),
        "date": "date",
        "datetime": "timestamp with time zone",
        "time": "time without time zone",
        **dict.fromkeys(("string", "reference", "picklist", "anyType", "new in 2030"), "text"),
    }
    fields = [Field(f"Field{place}__c", name, kind_of(name)) for place, name in enumerate(declared)]
    await make(database, described("Thing__c", *fields))
    found: dict[str, str] = dict(await database.fetch(*database.dialect.columns_of("Thing__c")))
    assert {field.name.lower(): found[field.name.lower()] for field in fields} == {
        field.name.lower(): declared[field.type] for field in fields
    }
    assert list(found)[-4:] == list(schemas.OWN_COLUMNS)
    assert found["id"] == "text"
    ((key, collation),) = await database.fetch(
        "SELECT a.attname::text, c.collname::text FROM pg_index AS i"
        " JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " JOIN pg_collation AS c ON c.oid = a.attcollation"
        " WHERE i.indisprimary AND i.indrelid = 'thing__c'::regclass"
    )
    assert (key, collation) == ("id", "C")


async def test_a_long_name_is_cut_and_ends_in_its_digest(database: Database) -> None:
    """Two names with the same first 63 bytes stay two tables and two columns."""
    names = [f"{'Länge' * 15}{ending}__c" for ending in "ab"]
    for name in names:
        table = await make(database, described(name, *(Field(field, "string", Kind.TEXT) for field in names)))
        row = ["003000000000001AAA", "first", name, STAMP]
        async with database.transaction() as tx:
            await mirror_writer.load_rows(tx, table, table.columns, [row], VERSION)
            found = await mirror.known(tx, table, [row[0]])
        assert found[row[0]].row == dict(zip(table.columns, row, strict=True))
    cut = {database.dialect.name(name) for name in names}
    assert len(cut) == 2
    assert all(len(name.encode()) <= 63 for name in cut)
    assert {name[-9:] for name in cut} == {
        f"_{sha256(name.lower().encode()).hexdigest()[:8]}" for name in names
    }


async def test_grants_and_views_survive_a_describe(
    server: str, place: PostgresMirror, database: Database
) -> None:
    """A describe that adds a column appends it, and drops nothing of a user's."""
    await make(database, described("Contact", Field("Email", "email", Kind.TEXT)))
    reader = f"reader_{place.schema}"
    view = f"{place.schema}.mails"
    administered(
        server,
        f"CREATE ROLE {reader}",
        f"GRANT SELECT ON {place.schema}.contact TO {reader}",
        f"CREATE VIEW {view} AS SELECT id, email FROM {place.schema}.contact",
    )
    more = (Field("Email", "email", Kind.TEXT), Field("Phone", "phone", Kind.TEXT))
    await make(database, described("Contact", *more))
    found = [name for name, _ in await database.fetch(*database.dialect.columns_of("Contact"))]
    assert found[-1] == "phone"
    may = f"SELECT has_table_privilege('{reader}', '{place.schema}.contact', 'SELECT')"
    assert administered(server, may) == [(True,)]
    assert administered(server, f"SELECT * FROM {view}") == []


async def test_a_load_by_copy_equals_one_by_rows(database: Database) -> None:
    """The same rows, for hostile texts and for every type, empty values included."""
    fields = [Field(kind.name, "x", kind) for kind in Kind]
    cells = {
        Kind.BOOLEAN: "true",
        Kind.INT: "-7",
        Kind.REAL: "1e3",
        Kind.DATE: "2026-03-01",
        Kind.DATETIME: "2026-03-01T10:00:00.123+0000",
        Kind.TIME: "10:00:00.123Z",
    }
    rows = [
        [f"003{number:012d}AAA", *(text if kind is Kind.TEXT else cells[kind] for kind in Kind), STAMP]
        for number, text in enumerate([*HOSTILE, ""])
    ]
    rows.append(["003000000000999AAA", *("" for _ in Kind), STAMP])
    found = []
    for name in ("Copied", "Inserted"):
        table = await make(database, described(name, *fields))
        async with database.transaction() as tx:
            if name == "Copied":
                assert await tx.loader.load_text(tx, table, csv_text(table.columns, rows), VERSION)
            else:
                await mirror_writer.load_rows(tx, table, table.columns, rows, VERSION)
        found.append(await database.fetch(f"{table.select} ORDER BY Id"))
    assert found[0] == found[1]
    texts = [row[1] for row in found[0]]
    assert texts == [*HOSTILE, None, None]


@pytest.mark.parametrize("turn", range(1, 12))
async def test_a_cancellation_at_any_wait_for_the_server_leaves_no_half(
    database: Database, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    """Many rows, a COPY, the commit: all of it or nothing, and the next transaction begins at once."""
    table = await make(database, described("Thing", Field("Name", "string", Kind.TEXT)))
    rows = [[f"003{number:012d}AAA", "x", STAMP] for number in range(50)]
    waits = 0
    wait = psycopg.AsyncConnection.wait

    async def cancelling(connection: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal waits
        waits += 1
        if waits == turn:
            working.cancel()
        return await wait(connection, *arguments, **options)

    async def work() -> None:
        async with database.transaction() as tx:
            await meta.put(tx, "first", "new")
            await tx.executemany(meta.PUT, [(f"key {number}", "new") for number in range(50)])
            assert await tx.loader.load_text(tx, table, csv_text(table.columns, rows), VERSION)

    monkeypatch.setattr(psycopg.AsyncConnection, "wait", cancelling)
    working = asyncio.create_task(work())
    await asyncio.wait([working])
    monkeypatch.undo()
    async with asyncio.timeout(4):
        async with database.transaction() as tx:
            await meta.put(tx, "next", "next")
    ((count,),) = await database.fetch("SELECT count(*) FROM Thing")
    kept = await database.fetch("SELECT count(*) FROM _rts_meta WHERE value='new'")
    assert (count, kept) in [(0, [(0,)]), (50, [(51,)])]
    assert waits >= turn


async def test_a_full_disk_is_told(database: Database) -> None:
    """As the server reports it, by its code."""
    with pytest.raises(StorageFull, match="no space left"):
        async with database.transaction() as tx:
            await tx.execute("DO $$ BEGIN RAISE disk_full; END $$")
    assert database.failure


async def test_a_transaction_that_the_server_ended(database: Database) -> None:
    """As after a freeze: the daemon goes on with a new connection."""
    with pytest.raises(StorageAway, match="idle-in-transaction"):
        await frozen(database)
    async with database.transaction() as tx:
        await meta.put(tx, "later", "yes")
    assert await meta.get(database, "later") == "yes"


async def frozen(database: Database) -> None:
    """Do nothing within a transaction, until the server ends the session."""

    async def over() -> bool:
        return await database.fetch("SELECT 1 FROM pg_stat_activity WHERE pid = ?", (pid,)) == []

    async with database.transaction() as tx:
        await tx.execute("SET LOCAL idle_in_transaction_session_timeout = '10ms'")
        ((pid,),) = await tx.fetch("SELECT pg_backend_pid()")
        await eventually(over, "the server ends the session")
        await tx.execute("SELECT 1")


def elsewhere(server: str, place: PostgresMirror, url: str) -> PostgresEngine:
    """The engine of the same schemas by another URL."""
    del server
    names = {"schema": place.schema, "internal_schema": place.internal, "node": "test"}
    found = Server.of(url)
    return PostgresEngine(found, **names, state=Path("/nonexistent"), settings={})


def wrong_password(server: str, place: PostgresMirror) -> PostgresEngine:
    """A user who needs a password, and has another."""
    user = f"locked_{place.schema}"
    administered(server, f"CREATE ROLE {user} LOGIN PASSWORD 'right'")
    ((file,),) = administered(server, "SHOW hba_file")
    rules = Path(file)
    rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
    administered(server, "SELECT pg_reload_conf()")
    return elsewhere(server, place, server.replace("user=rts", f"user={user}&password={SECRET}"))


def read_only(server: str, place: PostgresMirror) -> PostgresEngine:
    """A server that takes no writes, as a standby."""
    return elsewhere(server, place, f"{server}&options=-cdefault_transaction_read_only%3Don")


def foreign(server: str, place: PostgresMirror) -> PostgresEngine:
    """Somebody else's table in the schema."""
    administered(server, f"CREATE SCHEMA {place.schema} AUTHORIZATION rts")
    administered(server, f"CREATE TABLE {place.schema}.invoices (id int)")
    return place.engine()


def newer(server: str, place: PostgresMirror) -> PostgresEngine:
    """The tables of a later rtsd."""
    del server

    async def opened() -> None:
        async with await place.engine().open() as database, database.transaction() as tx:
            await meta.put(tx, "schema version", str(MIGRATIONS.latest + 1))

    asyncio.run(opened())
    return place.engine()


def ascii_only(server: str, place: PostgresMirror) -> PostgresEngine:
    """A database that keeps bytes and knows no characters."""
    name = f"ascii_{place.schema}"
    administered(
        server, f"CREATE DATABASE {name} OWNER rts TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
    )
    return elsewhere(server, place, server.replace("/mirrors", f"/{name}"))


def without_rights(server: str, place: PostgresMirror) -> PostgresEngine:
    """A user who may not make schemas."""
    user = f"guest_{place.schema}"
    administered(server, f"CREATE ROLE {user} LOGIN")
    return elsewhere(server, place, server.replace("user=rts", f"user={user}"))


CASES: list[tuple[Callable[[str, PostgresMirror], PostgresEngine], type[RtsError], str]] = [
    (wrong_password, StorageUnwritable, "password_file"),
    (read_only, StorageUnwritable, "primary"),
    (foreign, ForeignDatabase, "another schema"),
    (newer, NewerDatabase, "newer version"),
    (ascii_only, StoreError, "UTF8"),
    (without_rights, StorageUnwritable, "CREATE SCHEMA"),
]


@pytest.mark.parametrize(("arrange", "error", "do"), CASES, ids=[case[0].__name__ for case in CASES])
def test_what_cannot_have_a_mirror_is_refused_untouched(
    server: str,
    place: PostgresMirror,
    arrange: Callable[[str, PostgresMirror], PostgresEngine],
    error: type[RtsError],
    do: str,
) -> None:
    """One clear error that says what to do, before anything is written, and without the password."""
    engine = arrange(server, place)
    before = relations(server, place)
    with pytest.raises(error) as caught:
        asyncio.run(asyncio.wait_for(opened_by(engine.open), 10))
    assert do in caught.value.do
    assert SECRET not in f"{caught.value.message} {caught.value.do}"
    assert relations(server, place) == before


async def opened_by(opening: Callable[[], Awaitable[Database]]) -> None:
    """Open and close."""
    await (await opening()).close()


def relations(server: str, place: PostgresMirror) -> list[Any]:
    """The schemas of the test, and what is in them."""
    return administered(
        server,
        "SELECT n.nspname, c.relname FROM pg_namespace AS n LEFT JOIN pg_class AS c ON c.relnamespace = n.oid"
        f" WHERE n.nspname IN ('{place.schema}', '{place.internal}') ORDER BY 1, 2",
    )


async def test_a_password_is_in_no_message(tmp_path: Path) -> None:
    """Nor in the name of the database, wherever in the URL it was."""
    for url in (
        f"postgresql://rts:{SECRET}@127.0.0.1:1/acme",
        f"postgresql://rts@127.0.0.1:1/acme?password={SECRET}",
    ):
        named = Server.of(url)
        assert SECRET not in named.name
        engine = PostgresEngine(
            named, schema="a", internal_schema="b", node="test", settings={}, state=tmp_path
        )
        with pytest.raises(StorageAway) as caught:
            async with engine.peek():
                pass
        assert SECRET not in f"{caught.value.message} {caught.value.do}"
    for url in (
        f"postgresql://rts:{SECRET}%zz@db.example.com/acme",
        f"host=db.example.com user=rts password={SECRET}",
    ):
        with pytest.raises(ConfigError) as refused:
            Server.of(url)
        assert SECRET not in f"{refused.value.message} {refused.value.do}"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("SELECT ?, ?", "SELECT $1, $2"),
        ("SELECT ?2, ?1", "SELECT $2, $1"),
        ("SELECT '?', 'it''s ?', ?", "SELECT '?', 'it''s ?', $1"),
        ('SELECT "a?b", "c""?" FROM x', 'SELECT "a?b", "c""?" FROM x'),
        ("SELECT value FROM _rts_meta WHERE key=?", 'SELECT value FROM "own"._rts_meta WHERE key=$1'),
        ("SELECT '_rts_meta', \"_rts_meta\", _rts_seen", "SELECT '_rts_meta', \"_rts_meta\", _rts_seen"),
        (f"x {AMONG} AND y NOT {AMONG} AND z=?", "x = ANY ($1) AND y <> ALL ($2) AND z=$3"),
    ],
)
def test_a_statement_is_translated(written: str, read: str) -> None:
    """Marks outside of texts and quoted names become numbers, lists arrays, own tables have their schema."""
    assert Translation("own").translate(written) == read
