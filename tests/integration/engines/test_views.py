"""Views over the mirror: made with their tables, kept, and never in the place of something of a user's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rtsd.core.change import Version
from rtsd.core.layout import Layout
from rtsd.core.schema import Field, Kind, ObjectSchema, kind_of
from rtsd.errors import ForeignDatabase, StorageUnwritable
from rtsd.store import meta, mirror_writer, objects, views
from rtsd.store.database import Database, Tx
from rtsd.store.engine import Engine
from rtsd.store.objects import StoredObject
from rtsd.store.schema import Table
from rtsd.store.sqlite.engine import SqliteEngine
from rtsd.store.views import Ensured
from tests.support.mirror import SqliteMirror
from tests.support.postgres import PostgresMirror

STAMP = "2026-03-01T10:00:00.000Z"
VERSION = Version("", 1_772_359_200_123, 1_772_359_200_123)


def described(name: str, **fields: str) -> ObjectSchema:
    """An object with these fields, by their types, beside Id and the stamp."""
    made = [Field(field, kind, kind_of(kind)) for field, kind in fields.items()]
    stamp = Field("SystemModstamp", "datetime", Kind.DATETIME)
    return ObjectSchema(name, (Field("Id", "id", Kind.TEXT), *made, stamp), cursor="SystemModstamp")


class Case:
    """A mirror with layouts, on one of the engines."""

    def __init__(self, mirror: PostgresMirror | SqliteMirror) -> None:
        self.mirror = mirror
        self.on_postgres = isinstance(mirror, PostgresMirror)
        name = mirror.schema if isinstance(mirror, PostgresMirror) else "x"
        self.layouts: Mapping[Layout, str] = {
            Layout.HEROKU_CONNECT: f"heroku_{name}",
            Layout.FIVETRAN: f"fivetran_{name}",
        }
        self.heroku, self.fivetran = (
            f"{place}{'.' if self.on_postgres else '_'}" for place in self.layouts.values()
        )

    def engine(self) -> Engine:
        """The engine."""
        return self.mirror.engine()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What other programs see."""
        return [
            tuple(row)
            for row in self.mirror.sql(statement.format(heroku=self.heroku, fivetran=self.fivetran))
        ]

    def columns(self, view: str) -> list[str]:
        """The names of a view's columns, in order."""
        name = view.format(heroku=self.heroku, fivetran=self.fivetran)
        if isinstance(self.mirror, PostgresMirror):
            with self.mirror.connected() as connection:
                found = connection.execute(f"SELECT * FROM {name} LIMIT 0".encode()).description or ()
                return [column.name for column in found]
        return [str(row[0]) for row in self.mirror.sql("SELECT name FROM pragma_table_info(?)", name)]

    async def make(self, database: Database, schema: ObjectSchema, *rows: list[str]) -> Ensured:
        """Describe an object, and load rows."""
        table = Table(schema, database.dialect)
        async with database.transaction() as tx:
            ensured = await views.ensure(tx, table, self.layouts)
            await mirror_writer.load_rows(tx, table, table.columns, list(rows), VERSION)
        return ensured


@pytest.fixture(params=["sqlite", "postgres"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """A mirror on each engine."""
    if request.param == "postgres":
        return Case(request.getfixturevalue("place"))
    return Case(SqliteMirror(tmp_path / "mirror.db"))


@pytest.fixture
async def database(case: Case) -> AsyncIterator[Database]:
    """The open mirror."""
    async with await case.engine().open() as opened:
        yield opened


async def test_both_layouts_show_the_rows(case: Case, database: Database) -> None:
    """By the names of each, and with what each adds."""
    await case.make(database, described("MyThing__c", LastName="string"), ["003A", "Ames", STAMP])
    assert case.rows("SELECT id, sfid, lastname, isdeleted, _hc_lastop, _hc_err FROM {heroku}mything__c") == [
        (1, "003A", "Ames", False, "SYNCED", None)
    ]
    assert case.rows(
        "SELECT id, last_name, _fivetran_synced, _fivetran_active, _fivetran_deleted"
        " FROM {fivetran}my_thing_c"
    ) == [("003A", "Ames", "2026-03-01T10:00:00.123Z", True, False)]
    assert case.columns("{heroku}mything__c") == [
        *("id", "sfid", "lastname", "systemmodstamp", "isdeleted", "_hc_lastop", "_hc_err"),
    ]


async def test_a_view_keeps_a_removed_fields_column_and_gets_new_ones_last(
    case: Case, database: Database
) -> None:
    """In the transaction of the describe, in both layouts, as often as it happens."""
    await case.make(database, described("Contact", OldOne="string", Kept="string"), ["1", "was", "k", STAMP])
    before = [case.columns("{heroku}contact"), case.columns("{fivetran}contact")]
    await case.make(database, described("Contact", NewOne="string", Kept="string"), ["2", "n", "k", STAMP])
    await case.make(database, described("Contact", Third="boolean", NewOne="string", Kept="string"))
    after = [case.columns("{heroku}contact"), case.columns("{fivetran}contact")]
    assert after == [[*before[0], "newone", "third"], [*before[1], "new_one", "third"]]
    expected = [("was", None, None), (None, "n", None)]
    assert case.rows("SELECT oldone, newone, third FROM {heroku}contact ORDER BY sfid") == expected
    assert case.rows("SELECT old_one, new_one, third FROM {fivetran}contact ORDER BY id") == expected


async def test_nothing_is_made_again_without_a_change(case: Case, database: Database) -> None:
    """A describe that changes nothing takes no lock on a view: a long query would hold it up."""
    schema = described("Contact", Email="email")
    await case.make(database, schema)
    view = case.heroku + "contact"
    async with database.transaction() as tx:
        if case.on_postgres:
            await views.ensure(tx, Table(schema, database.dialect), case.layouts)
            assert await locks(tx, view) == []
        else:
            before = await tx.fetch("PRAGMA schema_version")
            await views.ensure(tx, Table(schema, database.dialect), case.layouts)
            assert await tx.fetch("PRAGMA schema_version") == before


async def locks(tx: Tx, view: str) -> list[Any]:
    """The locks that a transaction holds on a view: each waits for those who read it."""
    return await tx.fetch(
        "SELECT mode FROM pg_locks WHERE relation = (?)::text::regclass AND pid = pg_backend_pid()", (view,)
    )


async def test_a_field_that_changes_its_type_changes_the_view(case: Case, database: Database) -> None:
    """Text to number and back, with the column where it was."""
    await case.make(database, described("Contact", Size="string", Last="string"), ["1", "big", "x", STAMP])
    before = case.columns("{heroku}contact")
    ensured = await case.make(
        database, described("Contact", Size="int", Last="string"), ["2", "7", "x", STAMP]
    )
    assert (ensured.added, ensured.messages) == (("Size",), ())
    assert case.rows("SELECT size FROM {heroku}contact ORDER BY sfid") == [(None,), (7,)]
    assert case.rows("SELECT size FROM {fivetran}contact ORDER BY id") == [(None,), (7,)]
    await case.make(database, described("Contact", Size="string", Last="string"), ["3", "big", "x", STAMP])
    assert case.rows("SELECT size FROM {heroku}contact ORDER BY sfid") == [(None,), (None,), ("big",)]
    assert case.columns("{heroku}contact") == before


async def test_layouts_that_are_configured_later(case: Case) -> None:
    """Over an existing mirror, at the start; one that is left out later stays as long as nobody drops it."""
    schema = described("Contact", Email="email")
    async with await case.engine().open() as database:
        table = Table(schema, database.dialect)
        async with database.transaction() as tx:
            await views.ensure(tx, table, {})
            await mirror_writer.load_rows(tx, table, table.columns, [["1", "a@b.c", STAMP]], VERSION)
            await objects.add(tx, "Contact")
            await objects.save(tx, StoredObject("Contact"), StoredObject("Contact", table=table, cursor=1))
    async with await case.engine().open() as database:
        await applied(database, case.layouts)
        assert case.rows("SELECT id, sfid, email FROM {heroku}contact") == [(1, "1", "a@b.c")]
        if isinstance(case.mirror, PostgresMirror):
            listed = (
                "SELECT indexdef FROM pg_indexes WHERE indexname='_rts_contact__rts_id' AND schemaname='{}'"
            )
            ((index,),) = administered(case.mirror, listed.format(case.mirror.schema))
            assert "UNIQUE" in index
        await applied(database, {})
        async with database.transaction() as tx:
            wider = described("Contact", Email="boolean", Phone="phone")
            await views.ensure(tx, Table(wider, database.dialect), {})
        assert case.rows("SELECT id, sfid, email, phone FROM {heroku}contact") == [(1, "1", None, None)]


async def applied(database: Database, layouts: Mapping[Layout, str]) -> None:
    """A start with these layouts, which says nothing."""

    async def write_note(note: object) -> None:
        raise AssertionError(note)

    await views.apply(database, layouts, ["Contact"], write_note)


@pytest.mark.parametrize("kind", ["TABLE {} (id int)", "VIEW {} AS SELECT 1 AS id"])
async def test_what_is_not_ours_is_refused_and_left_alone(case: Case, kind: str) -> None:
    """By name, with what to do, before anything is made: at a start, and by a describe."""
    view = f"{case.heroku}contact"
    async with await case.engine().open() as database:
        async with database.transaction() as tx:
            if case.on_postgres:
                await tx.execute(f"CREATE SCHEMA {case.heroku.removesuffix('.')}")
            await tx.execute(f"CREATE {kind.format(view)}")
        with pytest.raises(
            ForeignDatabase, match=f"{view} is a (table|view) that rtsd did not make"
        ) as refused:
            await applied(database, case.layouts)
        assert "store.views" in refused.value.do
        with pytest.raises(ForeignDatabase):
            await case.make(database, described("Contact", Email="email"))
        with pytest.raises(ForeignDatabase):
            await case.engine().check(case.layouts, ["Account", "Contact"])
        await case.engine().check(case.layouts, ["Account"])
        assert case.columns("{heroku}contact") == ["id"]
        assert await database.fetch(*database.dialect.columns_of("Contact")) == []


async def test_a_view_that_somebody_dropped_is_made_again(case: Case, database: Database) -> None:
    """With the columns that it had."""
    await case.make(database, described("Contact", OldOne="string"))
    await case.make(database, described("Contact", NewOne="string"))
    before = case.columns("{heroku}contact")
    async with database.transaction() as tx:
        await tx.execute(f"DROP VIEW {case.heroku}contact")
    await case.make(database, described("Contact", NewOne="string"))
    assert case.columns("{heroku}contact") == before


@pytest.mark.parametrize("column", ["sfid", "id", "ownerid", "systemmodstamp"])
async def test_a_query_in_a_file_uses_the_mirrors_index(tmp_path: Path, column: str) -> None:
    """By the id, by the integer, by a reference and by the stamp."""
    case = Case(SqliteMirror(tmp_path / "mirror.db"))
    async with await case.engine().open() as database:
        schema = described("Contact", OwnerId="reference")
        await case.make(database, schema)
        await database.build_indexes(Table(schema, database.dialect))
        plan = case.rows(f"EXPLAIN QUERY PLAN SELECT * FROM {{heroku}}contact WHERE {column} = 1")
    assert "SEARCH" in str(plan), plan


async def test_a_former_version_gets_the_views(tmp_path: Path) -> None:
    """A file of the schema before them is migrated."""
    path = tmp_path / "mirror.db"
    async with await SqliteEngine(path).open() as database, database.transaction() as tx:
        await tx.execute("DROP TABLE _rts_view")
        await tx.execute("ALTER TABLE _rts_dead_letter DROP COLUMN tried_at")
        await tx.execute("PRAGMA user_version = 12")
    async with await SqliteEngine(path).open() as database:
        await applied(database, {Layout.FIVETRAN: "fivetran"})


async def test_a_former_version_in_postgresql_gets_the_views(place: PostgresMirror) -> None:
    """Two schemas of the version before them are migrated."""
    async with await place.engine().open() as database, database.transaction() as tx:
        await tx.execute("DROP TABLE _rts_view")
        await tx.execute("ALTER TABLE _rts_node DROP COLUMN refused")
        await meta.put(tx, "schema version", "2")
    async with await place.engine().open() as database:
        await applied(database, {Layout.FIVETRAN: f"f_{place.schema}"})
        assert await database.fetch("SELECT * FROM _rts_view") == []


def administered(place: PostgresMirror, *statements: str) -> list[Any]:
    """Run statements as the user of rtsd's database; return the rows of the last."""
    with place.connected() as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def test_a_users_views_and_grants_survive(place: PostgresMirror) -> None:
    """Types change under a view of a user's on ours: ours keeps its own until nothing depends on it."""
    case = Case(place)
    heroku = case.heroku
    async with await case.engine().open() as database:
        await case.make(
            database, described("Contact", Size="string", Flag="boolean"), ["1", "big", "true", STAMP]
        )
        administered(
            place,
            f"GRANT SELECT ON {heroku}contact TO PUBLIC",
            f"CREATE VIEW {heroku}mine AS SELECT sfid, size, flag FROM {heroku}contact",
        )
        wider = described("Contact", Size="int", Flag="boolean", More="string")
        assert (await case.make(database, wider, ["2", "7", "false", "m", STAMP])).messages == ()
        assert administered(place, f"SELECT sfid, size FROM {heroku}mine ORDER BY 1") == [
            ("1", None),
            ("2", "7"),
        ]
        changed = described("Contact", Size="int", Flag="string", More="string")
        (message,) = (await case.make(database, changed, ["3", "8", "red", "m", STAMP])).messages
        assert f"{heroku}contact has no values of flag" in message
        assert administered(place, f"SELECT flag FROM {heroku}mine ORDER BY sfid") == [(None,)] * 3
        assert (await case.make(database, changed)).messages == ()
        administered(place, f"DROP VIEW {heroku}mine")
        await case.make(database, changed)
        assert administered(place, f"SELECT size, flag FROM {heroku}contact ORDER BY sfid") == [
            (None, None),
            (7, None),
            (8, "red"),
        ]
        granted = f"SELECT has_table_privilege('public', '{heroku}contact', 'SELECT')"
        assert administered(place, granted) == [(True,)]


async def test_a_users_view_on_the_mirror_keeps_its_column(place: PostgresMirror) -> None:
    """Text that stays text is text in our views, too, and they follow once the column does."""
    case, schema = Case(place), place.schema
    changed = described("Contact", Size="int")
    async with await case.engine().open() as database:
        await case.make(database, described("Contact", Size="string"))
        administered(place, f"CREATE VIEW {schema}.mine AS SELECT size FROM {schema}.contact")
        for _ in range(2):
            table = Table(changed, database.dialect)
            async with database.transaction() as tx:
                ensured = await views.ensure(tx, table, case.layouts)
                assert await locks(tx, f"{case.heroku}contact") == []
        async with database.transaction() as tx:
            await mirror_writer.load_rows(tx, ensured.table, table.columns, [["1", "7", STAMP]], VERSION)
        for statement, expected in (
            (f"SELECT 1 FROM {schema}.mine", "7"),
            (f"DROP VIEW {schema}.mine", None),
        ):
            administered(place, statement)
            async with database.transaction() as tx:
                await views.ensure(tx, Table(changed, database.dialect), case.layouts, ensured.table)
            assert administered(place, f"SELECT size FROM {case.heroku}contact") == [(expected,)]
        kind = f"SELECT data_type FROM information_schema.columns WHERE table_schema='{case.heroku[:-1]}'"
        assert administered(place, f"{kind} AND column_name='size'") == [("integer",)]


async def test_a_trigger_on_a_view_is_not_dropped_with_it(place: PostgresMirror) -> None:
    """Nor is a rule."""
    case = Case(place)
    async with await case.engine().open() as database:
        await case.make(database, described("Contact", Size="string"))
        administered(
            place,
            f"CREATE RULE mine AS ON DELETE TO {case.heroku}contact DO INSTEAD NOTHING",
        )
        await case.make(database, described("Contact", Size="int"))
        assert administered(place, "SELECT count(*) FROM pg_rules WHERE rulename = 'mine'") == [(1,)]
        kind = f"SELECT data_type FROM information_schema.columns WHERE table_schema='{case.heroku[:-1]}'"
        assert administered(place, f"{kind} AND column_name='size'") == [("text",)]


async def test_two_mirrors_do_not_take_each_others_views(place: PostgresMirror, tmp_path: Path) -> None:
    """Two orgs in one database with the same schema for views: the second is refused."""
    case, other = Case(place), Case(PostgresMirror(tmp_path / "other.db"))
    other.layouts = case.layouts
    async with await case.engine().open() as first, await other.engine().open() as second:
        await case.make(first, described("Contact", Email="email"))
        with pytest.raises(ForeignDatabase):
            await other.make(second, described("Contact", Email="email"))


async def test_a_schema_that_may_not_be_made(server: str, place: PostgresMirror) -> None:
    """Whose fault it is, and the statement that helps."""
    administrator = server.replace("user=rts", "user=postgres")
    case = Case(place)
    async with await case.engine().open() as database:
        with psycopg.connect(administrator, autocommit=True) as connection:
            connection.execute("ALTER DATABASE mirrors OWNER TO postgres")
            try:
                with pytest.raises(StorageUnwritable, match="may not make the schema") as refused:
                    await case.make(database, described("Contact", Email="email"))
            finally:
                connection.execute("ALTER DATABASE mirrors OWNER TO rts")
        assert "CREATE SCHEMA" in refused.value.do
