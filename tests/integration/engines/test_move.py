"""Moves between the engines: everything arrives, and what is broken is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsd.core.change import Version
from rtsd.core.layout import Layout
from rtsd.core.privacy import MaskedPush
from rtsd.core.schema import Kind
from rtsd.errors import (
    CorruptDatabase,
    StoreError,
    UnfinishedMove,
)
from rtsd.store import error_log, mirror_writer, objects, row_checksums, views
from rtsd.store import schema as tables
from rtsd.store.engine import Engine
from rtsd.store.inbox import Arrival
from rtsd.store.moving.content import APART, NOT_MOVED, OWN
from rtsd.store.moving.mover import Mover
from rtsd.store.postgres.dialect import Postgres
from rtsd.store.postgres.migrations import MIGRATIONS
from rtsd.store.postgres.moving import PostgresTarget
from rtsd.store.schema import Table
from rtsd.store.sqlite.dialect import SQLITE
from rtsd.store.sqlite.engine import SqliteEngine
from rtsd.store.sqlite.library import pysqlite3
from rtsd.store.sqlite.moving import SqliteTarget
from tests.support.life import (
    FIELDS,
    FILLED,
    LATER,
    START,
    Step,
    living,
    received,
    record_id,
    schema,
)
from tests.support.moved import LIVE, POSITION, ROW, content, digests, make, moved, opened
from tests.support.postgres import PostgresMirror


async def test_there_and_back_yields_the_same_content(path: Path, place: PostgresMirror) -> None:
    """Rows, deleted records, journal, held and waiting pushes, ids, outbox, ledger, quota, checksums."""
    await make(SqliteEngine(path), applied=2)
    before, bytes_before = content(path), digests(path)
    there = await moved(SqliteEngine(path), place.engine())
    assert digests(path) == bytes_before
    back = path.with_name("back.db")
    again = await moved(place.engine(), SqliteEngine(back))
    after = content(back)
    assert after == before
    assert there == again
    empty = {key for key, (_, rows) in before.items() if not rows}
    assert empty == {".db Empty__c", ".db _rts_push_id"}
    with psycopg.connect(place.url) as connection:
        ((flag, day, moment, text),) = connection.execute(
            f"SELECT boolean__c, date__c::text, datetime__c::text, text__c FROM {place.schema}.thing1__c"
            f" WHERE id = '{LIVE}'"
        ).fetchall()
    assert (flag, day, moment[:23], text) == (True, "1700-01-01", "2026-03-01 10:00:00.007", "tab\there")


@settings(max_examples=6)
@given(st.lists(FILLED, min_size=1, max_size=4))
def test_any_values_arrive(server: str, tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    """There and back, whatever the texts, numbers and moments are."""
    path = tmp_path_factory.mktemp("any") / "mirror.db"
    place = PostgresMirror(path)

    async def run() -> None:
        async with living(SqliteEngine(path)) as life:
            await life.begin("Thing")
            await life.play([Step("push", number % 6, number, values) for number, values in enumerate(rows)])
        await moved(SqliteEngine(path), place.engine())
        await moved(place.engine(), SqliteEngine(path.with_name("back.db")))

    asyncio.run(run())
    assert content(path.with_name("back.db")) == content(path)
    with psycopg.connect(place.url) as connection:
        connection.execute(f"DROP SCHEMA {place.schema}, {place.internal} CASCADE".encode())


async def test_it_says_how_far_it_is(path: Path, place: PostgresMirror) -> None:
    """What it copies and compares, with the rows so far and, where they are counted, of how many."""
    await make(SqliteEngine(path))
    said: list[tuple[str, str, int, int | None]] = []
    async with SqliteEngine(path).as_source() as source, place.engine().as_target("x") as target:
        found = await Mover(source, target, lambda *words: said.append(words)).run()
    rows = found.rows["Thing1__c"]
    assert rows > 3
    assert ("copying", "Thing1__c", rows, rows) in said
    assert ("comparing", "Thing1__c", rows, rows) in said
    assert ("copying", "_rts_journal", found.own["_rts_journal"], None) in said


def test_every_table_is_moved_or_left_on_purpose(path: Path) -> None:
    """A table that is new in a migration has to be put into one of the lists."""
    asyncio.run(opened(SqliteEngine(path)))
    own = {key.rpartition(" ")[2] for key in content(path)} - {"sqlite_sequence"}
    own |= {
        line.split()[2]
        for _, text in MIGRATIONS.after(0)
        for line in text.splitlines()
        if line.startswith("CREATE TABLE")
    }
    assert own == OWN.keys() | APART | NOT_MOVED


Break = Callable[[str, list[Any]], list[Any] | None]


def _changed(table: str, value: Callable[[Any], bool], new: Any) -> Break:
    def broken(name: str, rows: list[Any]) -> list[Any] | None:
        for place, row in enumerate(rows) if table in name else ():
            for column, found in enumerate(row):
                if value(found):
                    return [*rows[:place], (*row[:column], new, *row[column + 1 :]), *rows[place + 1 :]]
        return None

    return broken


BROKEN: dict[str, Break] = {
    "text": _changed("thing1", lambda found: found == "tab\there", "tab here"),
    "boolean": _changed("thing1", lambda found: found == 1, 0),
    "real": _changed("thing1", lambda found: found == 1e-300, 1.0000000000000002e-300),
    "moment": _changed("thing1", lambda found: found == ROW["Datetime__c"], "2026-03-01T10:00:00.008Z"),
    "null": _changed("thing1", lambda found: found == ROW["Date__c"], None),
    "a row": lambda name, rows: rows[:-1] if "thing1" in name else None,
    "journal": _changed("_rts_journal", lambda found: "Real__c" in str(found), "{}"),
    "body": _changed("_rts_held", lambda found: isinstance(found, bytes), b"\x00\xff"),
    "inbox": lambda name, rows: rows[1:] if "_rts_inbox" in name else None,
    "an id": _changed("_rts_push_id", lambda found: str(found).startswith("w"), "other"),
    "checksum": _changed(
        "_rts_row_checksum", lambda found: isinstance(found, bytes), row_checksums.packed([])
    ),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_a_broken_copy_is_seen(
    path: Path,
    place: PostgresMirror,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    back: bool,  # noqa: FBT001
) -> None:
    """One value, one row, one number: it is no mirror then, and says so; the source is as it was."""
    engines: tuple[Engine, Engine] = (SqliteEngine(path), place.engine())
    origin, destination = reversed(engines) if back else engines
    await make(origin)
    kind = SqliteTarget if back else PostgresTarget
    put, did = kind.put, []

    async def broken(self: Any, table: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
        changed = BROKEN[what](table.lower(), list(rows))
        did.append(changed is not None)
        await put(self, table, columns, rows if changed is None else changed)

    monkeypatch.setattr(kind, "put", broken)
    with pytest.raises(CorruptDatabase, match="not equal"):
        await moved(origin, destination)
    assert any(did)
    with pytest.raises(UnfinishedMove):
        await destination.open()
    await opened(place.engine() if back else SqliteEngine(path))


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_numbers_that_would_be_given_twice_are_seen(
    path: Path,
    place: PostgresMirror,
    monkeypatch: pytest.MonkeyPatch,
    back: bool,  # noqa: FBT001
) -> None:
    """The highest number may belong to a row that is gone."""
    engines: tuple[Engine, Engine] = (SqliteEngine(path), place.engine())
    origin, destination = reversed(engines) if back else engines
    await make(origin)

    async def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(SqliteTarget if back else PostgresTarget, "set_numbers", nothing)
    with pytest.raises(CorruptDatabase, match="number"):
        await moved(origin, destination)


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_new_rows_get_numbers_after_the_old_ones(
    path: Path,
    place: PostgresMirror,
    back: bool,  # noqa: FBT001
) -> None:
    """Also after one whose row is gone, and after the pushes that were applied."""
    engines: tuple[Engine, Engine] = (SqliteEngine(path), place.engine())
    origin, destination = reversed(engines) if back else engines
    await make(origin, applied=8)
    await moved(origin, destination)
    async with living(destination) as life:
        assert [entry.webhook_id for entry in await life.inbox.oldest()][-1] == "w4"
        last = (await life.inbox.oldest())[-1].seq
        await received(life.inbox, Arrival("new", START, MaskedPush(b"{}")))
        assert [entry.seq for entry in await life.inbox.oldest()][-1] == last + 1
        await received(life.inbox, Arrival("w0", START, MaskedPush(b"{}")))
        assert await life.inbox.knows(["w0", "new"])
        async with life.database.transaction() as tx:
            await tx.execute("INSERT INTO _rts_ledger (at, purpose, resource, calls) VALUES (1, 'x', 'y', 1)")
            await error_log.add(tx, "2026-03-02T10:00:00.000Z", "x", "y", None)
        ((ledger,),) = await life.database.fetch("SELECT MAX(seq) FROM _rts_ledger")
        assert ledger == 71
        assert await life.inbox.position("/event/x") == POSITION
        assert await life.inbox.unbroken("/event/x") == "yes"


async def test_a_column_that_stayed_text_moves_as_its_field(path: Path, place: PostgresMirror) -> None:
    """Below a user's view a number is text; SQLite has no such view, and stores the number."""
    await make(place.engine())
    view = f"CREATE VIEW {place.schema}.mine AS SELECT text__c FROM {place.schema}.thing1__c"
    with place.connected() as connection:
        connection.execute(view.encode())
    async with living(place.engine()) as life:
        before = (await objects.load(life.database))["Thing1__c"]
        assert before.table is not None
        fields = tuple(
            replace(field, kind=Kind.INT, type="int") if field.name == "Text__c" else field
            for field in before.table.schema.fields
        )
        wanted = Table(replace(before.table.schema, fields=fields), before.table.dialect)
        async with life.database.transaction() as tx:
            ensured = await tables.ensure(tx, wanted, before.table)
            await objects.save(tx, before, replace(before, table=ensured.table))
            await tx.execute("UPDATE Thing1__c SET Text__c = '4711' WHERE Id = ?", (LIVE,))
    await moved(place.engine(), SqliteEngine(path))
    columns, rows = content(path)[".db Thing1__c"]
    assert dict(columns)["Text__c"] == "INTEGER"
    assert [row[1] for row in rows if row[0] == LIVE] == [4711]
    assert not [key for key, _ in content(path)[".db _rts_meta"][1] if "Thing1__c" in key]


async def test_views_of_a_layout_are_there_again_after_a_start(path: Path, place: PostgresMirror) -> None:
    """Made by the other engine, over the rows that came along, with their integers; there and back."""
    layouts = {Layout.HEROKU_CONNECT: f"h_{place.schema}"}
    back = path.with_name("back.db")
    await make(SqliteEngine(path))
    before = await _with_views(SqliteEngine(path), layouts)
    assert len(before) > 3
    assert [number for _, number in before] != sorted(number for _, number in before), "not in the ids' order"
    await moved(SqliteEngine(path), place.engine())
    assert await _with_views(place.engine(), layouts) == before
    async with living(place.engine()) as life:
        await life.begin("Thing1__c")
        new = Step("push", 9, 99_000, dict.fromkeys(FIELDS))
        await life.play([new])
    after = await _with_views(place.engine(), layouts)
    assert [row for row in after if row not in before] == [
        (record_id(9), max(number for _, number in before) + 1)
    ]
    await moved(place.engine(), SqliteEngine(back))
    assert await _with_views(SqliteEngine(back), layouts) == after
    table = Table(schema("Thing1__c", widened=True), SQLITE)
    async with living(SqliteEngine(back)) as life:
        found = await row_checksums.check(life.database, table, table.columns)
    assert (found.broken, found.checksummed) == ([], found.rows - 1), "the new row has none yet"


async def _with_views(engine: Engine, layouts: dict[Layout, str]) -> list[tuple[str, int]]:
    """Start with layouts, as the daemon does; return the ids and the integers of a view's rows."""
    notes: list[Any] = []

    async def note(written: Any) -> None:
        notes.append(written)

    async with living(engine) as life:
        await views.apply(life.database, layouts, ["Thing1__c"], note)
        assert notes == []
        between = "." if life.database.dialect is not SQLITE else "_"
        view = f"{layouts[Layout.HEROKU_CONNECT]}{between}thing1__c"
        return [
            (str(sfid), int(number))
            for sfid, number in await life.database.fetch(f"SELECT sfid, id FROM {view} ORDER BY sfid")
        ]


async def test_what_was_broken_before_is_found_after(path: Path, place: PostgresMirror) -> None:
    """The checksums of `rtsd verify` go along: a value that changed without a write does not become right."""
    await make(SqliteEngine(path))
    with pysqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE Thing1__c SET Order = 'flipped' WHERE Id = ?".replace("Order", '"Order"'), (LIVE,)
        )
    connection.close()
    await moved(SqliteEngine(path), place.engine())
    table = Table(schema("Thing1__c", widened=True), Postgres(place.schema))
    async with living(place.engine()) as life:
        found = await row_checksums.check(life.database, table, table.columns)
    assert found.broken == [LIVE]
    assert found.checksummed >= 6


async def test_checksums_of_many_blocks_fit_their_rows(path: Path, place: PostgresMirror) -> None:
    """In both directions; nothing is broken, and each row is known."""
    rows = [[record_id(place), *[""] * 9, "2026-03-01T10:00:00.000Z"] for place in range(3_000)]
    async with living(SqliteEngine(path)) as life:
        await life.begin("Thing")
        table = Table(schema("Thing"), life.database.dialect)
        async with life.database.transaction() as tx:
            await mirror_writer.load_rows(tx, table, table.columns, rows, Version("", 1, 2))
        await row_checksums.check(life.database, table, table.columns)
    back = SqliteEngine(path.with_name("back.db"))
    for origin, destination in ((SqliteEngine(path), place.engine()), (place.engine(), back)):
        await moved(origin, destination)
    for engine in (place.engine(), back):
        async with living(engine) as life:
            table = Table(schema("Thing"), life.database.dialect)
            for _ in range(2):
                found = await row_checksums.check(life.database, table, table.columns)
                assert (found.rows, found.checksummed, found.broken) == (3_000, 3_000, [])


async def test_a_nul_is_left_out_as_by_a_load(path: Path, place: PostgresMirror) -> None:
    """PostgreSQL's text cannot have it, and Salesforce never sends it on purpose."""
    await make(SqliteEngine(path))
    with pysqlite3.connect(path) as connection:
        connection.execute("UPDATE Thing1__c SET Text__c = 'a' || char(0) || 'b' WHERE Id = ?", (LIVE,))
        connection.execute("UPDATE _rts_error SET message = 'x' || char(0)")
    connection.close()
    await moved(SqliteEngine(path), place.engine())
    found = place.sql(f"SELECT text__c FROM {place.schema}.thing1__c WHERE id = '{LIVE}'")
    assert found[0][0] == "ab"


async def test_a_value_that_does_not_fit_is_named(path: Path, place: PostgresMirror) -> None:
    """An integer of more than 32 bits: which record, which field, and what to do."""
    await make(SqliteEngine(path))
    with pysqlite3.connect(path) as connection:
        connection.execute("UPDATE Thing1__c SET Int__c = 3000000000 WHERE Id = ?", (LIVE,))
    connection.close()
    with pytest.raises(StoreError, match=f"Thing1__c {LIVE}: the value of int__c does not fit") as caught:
        await moved(SqliteEngine(path), place.engine())
    assert "3000000000" not in str(caught.value)
    assert "exclude the field" in caught.value.do


async def test_a_wide_integer_of_a_former_field_stays(path: Path, place: PostgresMirror) -> None:
    """Nobody can correct it in the org any more."""
    await make(SqliteEngine(path))
    with pysqlite3.connect(path) as connection:
        connection.execute(f"UPDATE Thing0__c SET {LATER} = 3000000000 WHERE Id = ?", (LIVE,))
    connection.close()
    before = content(path)
    await moved(SqliteEngine(path), place.engine())
    back = path.with_name("back.db")
    await moved(place.engine(), SqliteEngine(back))
    assert content(back) == before
