"""The layout of Heroku Connect in PostgreSQL, by the statements of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rtsd import config
from rtsd.config.engine import engine_of
from rtsd.core.layout import Layout
from rtsd.store.database import Database
from tests.support.configuration import MINIMAL
from tests.support.heroku_connect import SAMPLES, made_by_hand, mirrored
from tests.support.postgres import PostgresMirror

_FILE = Path(__file__).parents[2] / "golden" / "heroku_connect.sql"
STATEMENTS = [line.removesuffix(";") for line in _FILE.read_text().splitlines() if line.endswith(";")]
VARCHAR, TEXT = 1043, 25


@pytest.fixture
async def database(place: PostgresMirror) -> AsyncIterator[Database]:
    """An open mirror."""
    async with await place.engine().open() as opened:
        yield opened


def answer(connection: psycopg.Connection[Any], statement: str) -> tuple[list[tuple[str, int]], list[Any]]:
    """The names and types of the columns, and the rows."""
    cursor = connection.execute(statement.encode())
    columns = [
        (column.name, TEXT if column.type_code == VARCHAR else column.type_code)
        for column in cursor.description or ()
    ]
    return columns, cursor.fetchall()


def by_name(found: tuple[list[tuple[str, int]], list[Any]]) -> Any:
    """An answer whose columns have no order, as those of SELECT *."""
    columns, rows = found
    order = sorted(range(len(columns)), key=lambda place: columns[place])
    return [columns[place] for place in order], [[row[place] for place in order] for row in rows]


async def test_statements_of_its_users_return_the_same(place: PostgresMirror, database: Database) -> None:
    """Fifty, on our views and on tables as Heroku Connect makes them, in any session's time zone."""
    assert len(STATEMENTS) == 50
    ours, theirs = f"v_{place.schema}", f"h_{place.schema}"
    for sample in SAMPLES:
        await mirrored(database, sample, {Layout.HEROKU_CONNECT: ours})
    with psycopg.connect(place.url) as connection:
        connection.execute(f"CREATE SCHEMA {theirs}".encode())
        for sample in SAMPLES:
            made_by_hand(connection, theirs, sample)
        for zone in ("UTC", "America/New_York"):
            connection.execute(f"SET TIME ZONE '{zone}'".encode())
            for statement in STATEMENTS:
                found = answer(connection, statement.replace("salesforce.", f"{ours}."))
                expected = answer(connection, statement.replace("salesforce.", f"{theirs}."))
                if "SELECT *" in statement:
                    found, expected = by_name(found), by_name(expected)
                assert found == expected, (zone, statement)


async def test_statements_tell_a_wrong_view_apart(place: PostgresMirror, database: Database) -> None:
    """They notice each promise of the layout that is broken: zones, the integer, what is deleted."""
    ours = f"v_{place.schema}"
    for sample in SAMPLES:
        await mirrored(database, sample, {Layout.HEROKU_CONNECT: ours})
    with psycopg.connect(place.url) as connection:
        right = [answer(connection, text.replace("salesforce.", f"{ours}.")) for text in STATEMENTS]
        for wrong in (
            "systemmodstamp + interval '1 s' AS systemmodstamp",
            "createddate AT TIME ZONE 'UTC' AS createddate",
            "id + 1 AS id",
            "NOT isdeleted AS isdeleted",
            "NULL::text AS _hc_lastop",
            "accountid || ' ' AS accountid",
        ):
            name = wrong.rpartition(" ")[2]
            table = "contact"
            columns = connection.execute(f"SELECT * FROM {ours}.{table} LIMIT 0".encode()).description or ()
            listed = ", ".join(wrong if column.name == name else column.name for column in columns)
            connection.execute(
                f"CREATE TEMPORARY VIEW {table} AS SELECT {listed} FROM {ours}.{table}".encode()
            )
            changed = [
                answer(
                    connection,
                    text.replace(f"salesforce.{table}", f"pg_temp.{table}").replace(
                        "salesforce.", f"{ours}."
                    ),
                )
                for text in STATEMENTS
            ]
            assert changed != right, wrong
            connection.execute(f"DROP VIEW pg_temp.{table}".encode())


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("sfid = '003000000000001AAA'", "contact_pkey"),
        ("id = 3", "_rts_contact__rts_id"),
        ("accountid = '001000000000001AAA'", "_rts_contact_accountid"),
        ("accountid = (SELECT sfid FROM {place}.account WHERE id = 1)", "_rts_contact_accountid"),
        ("systemmodstamp > '2026-03-08 07:30:00'", "_rts_contact_systemmodstamp_utc"),
    ],
)
async def test_a_query_uses_the_mirrors_index(
    place: PostgresMirror, database: Database, condition: str, index: str
) -> None:
    """By sfid, by the integer, by a reference and a join over it, and in a window of the stamp."""
    ours = f"v_{place.schema}"
    for sample in SAMPLES[:2]:
        await mirrored(database, sample, {Layout.HEROKU_CONNECT: ours})
    with psycopg.connect(place.url) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            f"EXPLAIN SELECT * FROM {ours}.contact WHERE {condition.format(place=ours)}".encode()
        ).fetchall()
    assert f"{index} on" in str(plan), plan


async def test_the_integer_is_stored_unique_and_stays(place: PostgresMirror, database: Database) -> None:
    """An update keeps it, a row that comes later has one of its own, and PostgreSQL holds it unique."""
    ours = f"v_{place.schema}"
    table = await mirrored(database, SAMPLES[0], {Layout.HEROKU_CONNECT: ours})
    before = place.sql(f"SELECT id, sfid FROM {ours}.account ORDER BY sfid")
    assert sorted(row["id"] for row in before) == [1, 2, 3, 4, 5]
    async with database.transaction() as tx:
        await tx.execute(f"UPDATE {table.sql_name} SET name='x'")
        await tx.execute(f"DELETE FROM {table.sql_name} WHERE id='001000000000005AAA'")
        await tx.execute(
            f"INSERT INTO {table.sql_name} (id, _rts_seen, _rts_until, _rts_source) VALUES ('new', 1, 1, 'x')"
        )
    after = place.sql(f"SELECT id, sfid FROM {ours}.account ORDER BY sfid")
    assert after[:4] == [tuple(row) for row in before[:4]]
    assert tuple(after[4]) == (6, "new")
    with pytest.raises(psycopg.errors.UniqueViolation), psycopg.connect(place.url) as connection:
        connection.execute(f"UPDATE {place.schema}.account SET _rts_id = 1".encode())


async def test_a_reader_of_the_views_needs_no_right_on_the_mirror(
    place: PostgresMirror, database: Database
) -> None:
    """As an application that may see Heroku Connect's schema alone."""
    ours, reader = f"v_{place.schema}", f"reader_{place.schema}"
    await mirrored(database, SAMPLES[0], {Layout.HEROKU_CONNECT: ours})
    with psycopg.connect(place.url.replace("user=rts", "user=postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {reader} LOGIN".encode())
    with psycopg.connect(place.url) as connection:
        connection.execute(f"GRANT USAGE ON SCHEMA {ours} TO {reader}".encode())
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {ours} TO {reader}".encode())
    with psycopg.connect(place.url.replace("user=rts", f"user={reader}"), autocommit=True) as connection:
        assert connection.execute(f"SELECT count(*) FROM {ours}.account".encode()).fetchall() == [(5,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT count(*) FROM {place.schema}.account".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"UPDATE {ours}.account SET name = 'x'".encode())


async def test_nodes_tell_that_their_layouts_differ(place: PostgresMirror, tmp_path: Path) -> None:
    """Views would come and go with whoever leads."""
    engines = []
    for name in ("a", "b"):
        views = f'[store.views]\nfivetran = "{name}"\n[node]\nname = "{name}"\n'
        path = tmp_path / f"{name}.toml"
        path.write_text(f"{MINIMAL}[store]\n{place.section()}\n{views}")
        path.chmod(0o600)
        engines.append(engine_of(config.load(path, {})))
    leader, follower = engines
    async with await leader.open():
        assert leader.lease is not None
        assert follower.lease is not None
        assert not await follower.lease.join()
        found = {node.name: list(node.differs) for node in await leader.lease.nodes()}
        await follower.lease.release()
    assert found == {"a": [], "b": ["views"]}
