"""`_rts_object`: what is stored of an object comes back as it was; what older versions left is taken up."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from rtsd.core.object_state import ObjectEvent, ObjectState
from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.store import objects
from rtsd.store.database import Database
from rtsd.store.objects import StoredObject
from rtsd.store.schema import Table
from rtsd.store.sqlite.database import SqliteDatabase
from rtsd.store.sqlite.library import pysqlite3
from tests.support.mirror import sqlite_only

SCHEMA = ObjectSchema(
    "Contact",
    (Field("Id", "id", Kind.TEXT), Field("SystemModstamp", "datetime", Kind.DATETIME)),
    cursor="SystemModstamp",
)
NEW = StoredObject("Contact")
FULL = StoredObject(
    "Contact",
    state=ObjectState.INCOMPLETE,
    error="two rows are missing",
    described_at="Sun, 01 Mar 2026 10:00:00 GMT",
    cursor=1_772_359_200_123,
    as_of="2026-03-01T10:00:00.000Z",
    expected_rows=12,
    counted_at="2026-03-01T10:00:01.000Z",
    to_fill=("Phone", "Email"),
    formulas_as_of="2026-03-01T09:00:00.000Z",
    proven_at=1_772_359_000_000,
    checked_at="2026-03-01T10:00:02.000Z",
)


async def test_an_object_comes_back_as_it_was_stored(database: Database) -> None:
    """Each fact, and that it is not known."""
    full = replace(FULL, table=Table(SCHEMA, database.dialect))
    async with database.transaction() as tx:
        await objects.add(tx, "Contact")
    assert await objects.load(database) == {"Contact": NEW}
    async with database.transaction() as tx:
        await objects.save(tx, NEW, full)
    assert await objects.load(database) == {"Contact": full}
    less = replace(NEW, table=full.table)
    async with database.transaction() as tx:
        await objects.save(tx, full, less)
    assert await objects.load(database) == {"Contact": less}


def test_a_reason_is_renewed_where_the_state_is_what_it_explains() -> None:
    """Another failure tells why now; a doubt about what is incomplete already tells nothing new."""
    assert FULL.after(ObjectEvent.DISPROVEN, "three rows are missing").error == "three rows are missing"
    assert FULL.after(ObjectEvent.DOUBTED, "a row is odd") is FULL
    assert FULL.after(ObjectEvent.PROVEN).error is None


@sqlite_only("a file of an earlier version")
async def test_an_object_that_was_paused_before_it_was_a_state_stays_paused(tmp_path: Path) -> None:
    """The flag of earlier versions is taken up as the state."""
    path = tmp_path / "mirror.db"
    migrations = files("rtsd.store.sqlite.migrations").iterdir()
    scripts = sorted(
        (script for script in migrations if script.name.endswith(".sql")), key=lambda it: it.name
    )
    with pysqlite3.connect(path) as old:
        for script in scripts:
            if script.name < "0006":
                old.executescript(script.read_text())
        old.execute("INSERT INTO _rts_object (name, state, error, paused) VALUES ('A', 'incomplete', 'x', 1)")
        old.execute("INSERT INTO _rts_object (name, state, error, paused) VALUES ('B', 'incomplete', 'x', 0)")
        old.execute("PRAGMA user_version=5")
    old.close()
    path.chmod(0o600)
    async with await SqliteDatabase.open(path) as database:
        found = await objects.load(database)
    assert [(stored.state.value, stored.error) for stored in found.values()] == [
        ("paused", None),
        ("incomplete", "x"),
    ]


async def test_a_call_back_follows_the_commit(database: Database) -> None:
    """In the order of the requests, when others can read what was written; never after a roll-back."""
    seen: list[str] = []
    async with database.transaction() as tx:
        await objects.add(tx, "Contact")
        tx.on_commit(lambda: seen.append("first"))
        tx.on_commit(lambda: seen.append("second"))
        assert seen == []
    assert seen == ["first", "second"]
    try:
        async with database.transaction() as tx:
            tx.on_commit(lambda: seen.append("never"))
            raise KeyError  # noqa: TRY301
    except KeyError:
        pass
    assert seen == ["first", "second"]
