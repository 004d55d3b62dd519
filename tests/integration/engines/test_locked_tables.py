"""Transactions of users that hold a table while its columns, views or indexes are to change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from rtsd.errors import TableLocked
from rtsd.store.database import Database
from rtsd.store.postgres import engine
from tests.support.heroku_connect import SAMPLES, mirrored
from tests.support.inprocess.stand import Stand, Standing
from tests.support.postgres import PostgresMirror
from tests.support.waiting import eventually

VIP = {"name": "Vip__c", "type": "boolean", "default": True}
LAYOUT = '[store.views]\nheroku_connect = "hc_{schema}"\n'


@contextmanager
def held(place: PostgresMirror, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold what a statement locks, in a transaction that is idle."""
    with psycopg.connect(f"{place.url}&application_name=report") as connection:
        connection.execute(statement.encode())
        yield connection


async def later(org: Stand) -> None:
    """Let the time of the next try come, and describe and prove what is due."""
    org.advance(3_601)
    await org.load()


@pytest.mark.parametrize(
    ("op", "field"),
    [
        ("add_field", VIP),
        ("change_field_type", {"name": "NumberOfEmployees", "type": "string", "length": 40}),
    ],
)
async def test_a_table_that_a_user_reads_changes_later(
    stand: Standing, op: str, field: dict[str, Any]
) -> None:
    """Incomplete and says who holds it; everything else goes on, readers too; then live and equal."""
    org = await (await stand({"Account": 20, "Contact": 20}, describe_every="1h")).loaded()
    place = PostgresMirror(org.place / "mirror.db")
    with held(place, f"SELECT count(*) FROM {place.schema}.account") as reader:
        pid = reader.info.backend_pid
        await org.simulated.control("schema", {"op": op, "object": "Account", "field": field})
        describing = asyncio.create_task(later(org))
        while not describing.done():
            async with asyncio.timeout(10):
                await asyncio.to_thread(place.sql, f"SELECT count(*) FROM {place.schema}.account")
        await describing
        state = await org.state("Account")
        assert state.state == "incomplete"
        assert state.error == state.locked_by
        assert f"pid {pid} (report, user rts, idle in transaction, since 20" in str(state.error)
        assert f"{place.schema}.account cannot be changed" in str(state.error)
        assert (await org.state("Contact")).state == "live"
        org.update("Account", org.ids("Account")[:3], Name="Still fresh")
        await later(org)
        await org.read()
        fresh = f"SELECT count(*) FROM {place.schema}.account WHERE name = 'Still fresh'"
        assert place.sql(fresh) == [(3,)]
        assert (await org.state("Account")).state == "incomplete"
        told = [event.detail for event in await org.journal("error")]
        assert told == [{"error": "TableLocked"}]
    await later(org)
    await org.read()
    await org.load()
    state = await org.state("Account")
    assert (state.state, state.error, state.locked_by) == ("live", None, None)
    assert await org.equal("Account") == 20


async def test_tries_are_few_and_become_rare(stand: Standing) -> None:
    """Each holds up readers for 2 s: the next one comes 10 s later, then 20 s, and so on."""
    org = await (await stand({"Account": 5}, describe_every="1h")).loaded()
    place = PostgresMirror(org.place / "mirror.db")
    await org.simulated.control("schema", {"op": "add_field", "object": "Account", "field": VIP})
    with held(place, f"SELECT count(*) FROM {place.schema}.account"):
        await later(org)
        tries = []
        for _ in range(8):
            before = (await org.calls())["describe"]
            org.advance(5)
            await org.load()
            tries.append((await org.calls())["describe"] - before)
        assert tries == [0, 1, 0, 0, 0, 1, 0, 0]


async def test_a_start_does_not_wait_for_a_lock(stand: Standing) -> None:
    """A layout that is configured later: its views come once the table is free."""
    org = await (await stand({"Account": 5}, describe_every="1h")).loaded()
    place = PostgresMirror(org.place / "mirror.db")
    await org.stop()
    org.more = LAYOUT.format(schema=place.schema)
    view = f"SELECT count(*) AS a, count(DISTINCT id) AS b FROM hc_{place.schema}.account"
    with held(place, f"SELECT count(*) FROM {place.schema}.account"):
        await org.start()
        said = [event.message or "" for event in await org.journal("schema")]
        assert any("cannot be changed while others use it: pid" in message for message in said)
        with pytest.raises(psycopg.errors.UndefinedTable):
            place.sql(view)
    await later(org)
    await org.load()
    assert place.sql(view) == [(5, 5)]
    assert (await org.state("Account")).state == "live"
    numbered = "SELECT 1 FROM pg_indexes WHERE schemaname = ? AND indexname = '_rts_account__rts_id'"
    assert place.sql(numbered, place.schema) == [(1,)]


async def test_a_migration_waits_without_holding_others_up(
    place: PostgresMirror, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new version's tables come once nobody reads those that change; the log says who does."""
    monkeypatch.setattr(engine, "LOCKED_RETRY_S", 0.1)
    await (await place.engine().open()).close()
    with place.connected() as connection:
        connection.execute(f"ALTER TABLE {place.internal}._rts_node DROP COLUMN refused".encode())
        connection.execute(
            f"UPDATE {place.internal}._rts_meta SET value='3' WHERE key='schema version'".encode()
        )
    with held(place, f"SELECT * FROM {place.internal}._rts_node") as reader:
        opening = asyncio.create_task(place.engine().open())
        said = ""

        def told() -> bool:
            nonlocal said
            said += "".join(capsys.readouterr())
            return f"pid {reader.info.backend_pid} (report" in said

        await eventually(told, "who is in the way")
        async with asyncio.timeout(5):
            await asyncio.to_thread(place.sql, f"SELECT * FROM {place.internal}._rts_node")
        assert not opening.done()
    await (await opening).close()


@pytest.fixture
async def database(place: PostgresMirror) -> AsyncIterator[Database]:
    """An open mirror."""
    async with await place.engine().open() as opened:
        yield opened


async def test_an_index_waits_for_nobody(place: PostgresMirror, database: Database) -> None:
    """Only one that is missing needs a lock; the others are left alone."""
    table = await mirrored(database, SAMPLES[0], {})
    name = next(iter(table.indexes))
    writing = f"LOCK TABLE {table.sql_name} IN ROW EXCLUSIVE MODE"
    with held(place, writing):
        await database.build_indexes(table)
    with place.connected() as connection:
        connection.execute(f'DROP INDEX {place.schema}."{name}"'.encode())
    with held(place, writing), pytest.raises(TableLocked, match=r"pid \d+ \(report, user rts"):
        await database.build_indexes(table)
    await database.build_indexes(table)
    assert place.sql("SELECT 1 FROM pg_indexes WHERE indexname = ?", name)
