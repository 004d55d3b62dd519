"""`/v1/query` on PostgreSQL: read-only, limited, and without effects."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rtsd.errors import RtsError, UsageError
from rtsd.store import meta
from rtsd.store.database import Database
from rtsd.store.postgres import answers
from tests.support.postgres import PostgresMirror


@pytest.fixture
async def database(place: PostgresMirror) -> AsyncIterator[Database]:
    """An open mirror."""
    async with await place.engine().open() as opened:
        yield opened


async def test_a_query_answers_values_as_the_mirror_has_them(place: PostgresMirror) -> None:
    """Numbers are numbers, moments are as on SQLite, and own tables need no schema."""
    async with await place.engine().open():
        asked = place.engine().answers()
        values = "1.5::numeric AS r, 3::numeric AS n, '\\x00ff'::bytea AS b, true AS t"
        moments = (
            "'2026-03-01T10:00:00.000Z'::timestamptz AS at, '2026-03-01'::date AS day, '10:00'::time AS time"
        )
        found = await asked.run(f"SELECT {values}, {moments}, count(*) AS rows FROM _rts_object")
    rows = b'[[1.5,3,"AP8=",true,"2026-03-01T10:00:00.000Z","2026-03-01","10:00:00.000Z",0]]'
    assert rows in found


@pytest.mark.parametrize(
    "query",
    [
        r"SELECT '\'; COMMIT; CREATE TABLE {internal}.mine (x int); SELECT '\'",
        "SELECT 1; COMMIT; CREATE TABLE {internal}.mine (x int)",
        "SELECT 1 /* ; */ ; CREATE TABLE {internal}.mine (x int)",
        "SELECT $a$;$a$; CREATE TABLE {internal}.mine (x int)",
        r"SELECT E'\''; CREATE TABLE {internal}.mine (x int); SELECT ''",
        "CREATE TABLE {internal}.mine (x int)",
        "WITH made AS (INSERT INTO {internal}._rts_meta VALUES ('mine', '') RETURNING 1) SELECT * FROM made",
        r"SELECT 'a\' || pg_sleep(60) || 'b'",
        'SELECT "pg_sleep" (60)',
        "SELECT pg_catalog . pg_read_file ('/etc/passwd')",
        "SELECT query_to_xml('SELECT pg_sleep(60)', true, true, '')",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        'TABLE "pg_hba_file_rules"',
    ],
)
async def test_a_query_has_no_effect(database: Database, place: PostgresMirror, query: str) -> None:
    """Whatever it hides behind quotes, comments and second statements; nor does it wait, or read files."""
    with pytest.raises(UsageError):
        await place.engine().answers().run(query.format(internal=place.internal))
    assert await database.fetch("SELECT to_regclass(?)", (f"{place.internal}.mine",)) == [(None,)]
    assert await meta.get(database, "mine") is None


async def test_a_large_result_is_refused_before_it_is_held(place: PostgresMirror) -> None:
    """A hundred rows are read before their size is known, not ten thousand."""
    async with await place.engine().open():
        with pytest.raises(UsageError, match="over 16 MiB"):
            await place.engine().answers().run("SELECT repeat('x', 200000) FROM generate_series(1, 9000)")
        few = await place.engine().answers().run("SELECT i FROM generate_series(1, 10001) AS i")
        assert few.endswith(b'[9999],[10000]],"truncated":true}')


async def test_a_query_without_an_end_is_stopped(
    place: PostgresMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the server, which would otherwise go on."""
    monkeypatch.setattr(answers, "TIME_LIMIT_S", 1.0)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"
    async with await place.engine().open():
        with pytest.raises(RtsError, match="longer than 1 s"):
            await place.engine().answers().run(endless)
