"""What users build on a mirror in PostgreSQL outlives what happens to the org's schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from rtsd.errors import AuthenticationFailed, Conflict
from rtssim.org import Org
from rtssim.process import serve
from tests.support import mirror
from tests.support.inprocess.stand import Stand, Standing
from tests.support.postgres import PostgresMirror

TEXT = {"name": "NumberOfEmployees", "type": "string", "length": 40}

KEPT = "EXECUTE FUNCTION suppress_redundant_updates_trigger()"


async def retype(org: Stand, field: dict[str, Any]) -> None:
    """Change a field's type in the org, and describe it."""
    change = {"op": "change_field_type", "object": "Account", "field": field}
    await org.simulated.control("schema", change)
    org.advance(3_601)
    await org.load()
    await org.read()
    await org.load()


def built(place: PostgresMirror, reader: str) -> list[Any]:
    """What a user has built, as the database shows it."""
    with place.connected() as connection:
        return connection.execute(
            "SELECT viewname, definition FROM pg_views WHERE schemaname = %(schema)s"
            " UNION ALL SELECT indexname, indexdef FROM pg_indexes"
            " WHERE indexname = 'mine' AND schemaname = %(schema)s"
            " UNION ALL SELECT 'may', has_table_privilege(%(reader)s, %(table)s, 'SELECT')::text"
            " UNION ALL SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'kept'"
            " AND tgrelid = %(table)s::regclass ORDER BY 1",
            {"schema": place.schema, "reader": reader, "table": f"{place.schema}.account"},
        ).fetchall()


def build(place: PostgresMirror) -> str:
    """Build a view, a grant, an index and a trigger; return who may read."""
    reader, table = f"reader_{place.schema}", f"{place.schema}.account"
    with psycopg.connect(place.url.replace("user=rts", "user=postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {reader}".encode())
    with place.connected() as connection:
        for statement in (
            f"GRANT SELECT ON {table} TO {reader}",
            f"CREATE INDEX mine ON {table} (numberofemployees)",
            f"CREATE VIEW {place.schema}.large AS SELECT id, name, numberofemployees FROM {table}",
            f"CREATE TRIGGER kept BEFORE UPDATE ON {table} FOR EACH ROW {KEPT}",
        ):
            connection.execute(statement.encode())
    return reader


async def test_a_field_that_a_view_shows_changes_its_type_once_it_may(
    stand: Standing, tmp_path: Path
) -> None:
    """Incomplete with the statement that helps; other fields stay fresh; then live and equal again."""
    org = await (await stand({"Account": 80}, describe_every="1h", fingerprint_every="1h")).loaded()
    place = PostgresMirror(org.place / "mirror.db")
    reader = build(place)
    before = built(place, reader)
    assert len(before) == 4
    await retype(org, TEXT)
    state = await org.state("Account")
    assert state.state == "incomplete"
    assert f"DROP VIEW {place.schema}.large" in str(state.error) or "DROP VIEW large" in str(state.error)
    assert built(place, reader) == before
    calls = await org.calls()
    org.update("Account", org.ids("Account")[:3], Name="Still fresh")
    for _ in range(3):
        org.advance(700)
        await org.read()
        await org.load()
    assert (await org.state("Account")).error == state.error
    assert place.sql(f"SELECT count(*) FROM {place.schema}.account WHERE name = 'Still fresh'") == [(3,)]
    assert (await org.calls() - calls)["bulk_jobs"] == 0, "it is not read in full again and again"
    with place.connected() as connection:
        connection.execute(f"DROP VIEW {place.schema}.large".encode())
    org.advance(601)
    await org.load()
    await org.read()
    await org.load()
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account") == 80
    assert built(place, reader) == [row for row in before if row[0] != "large"]


async def test_a_text_below_a_view_holds_numbers(stand: Standing) -> None:
    """The column stays text, the view stays, and the object is live with the org's values."""
    org = await (await stand({"Account": 60}, describe_every="1h")).loaded()
    await retype(org, TEXT)
    place = PostgresMirror(org.place / "mirror.db")
    reader = build(place)
    before = built(place, reader)
    await retype(org, {"name": "NumberOfEmployees", "type": "int"})
    assert built(place, reader) == before
    state = await org.state("Account")
    assert (state.state, state.error) == ("live", None)
    said = [event.message or "" for event in await org.journal("schema")]
    assert any("stays text" in message and "NumberOfEmployees" in message for message in said)
    org.update("Account", org.ids("Account")[:2], NumberOfEmployees=4711)
    org.advance(60)
    await org.read()
    found = place.sql(f"SELECT numberofemployees FROM {place.schema}.large WHERE numberofemployees = '4711'")
    assert found == [("4711",), ("4711",)]
    async with org.client() as client:
        assert (await client.verify()).ok
    await org.restart({"Account": {}})
    await org.load()
    assert (await org.state("Account")).state == "live"
    with place.connected() as connection:
        connection.execute(f"DROP VIEW {place.schema}.large".encode())
    org.advance(7_300)
    await org.load()
    await org.read()
    await org.load()
    assert await org.equal("Account") == 60


async def test_a_newer_api_version_only_adds_columns(stand: Standing) -> None:
    """A release of Salesforce brings fields and takes some: views, grants and indexes are as they were."""
    org = await (await stand({"Account": 20}, describe_every="1h")).loaded()
    place = PostgresMirror(org.place / "mirror.db")
    reader = build(place)
    before = built(place, reader)
    field = {"name": "Vip__c", "type": "boolean", "default": True}
    await org.simulated.control("schema", {"op": "add_field", "object": "Account", "field": field})
    await org.simulated.control("schema", {"op": "remove_field", "object": "Account", "field": "Site"})
    org.login = {"api_version": "67.0"}
    await org.restart({"Account": {}})
    await org.load()
    await org.read()
    await org.load()
    assert (await org.state("Account")).state == "live"
    assert built(place, reader) == before
    assert await org.equal("Account") == 20


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_another_org_is_refused_and_touches_nothing(
    stand: Standing, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """As after the refresh of a sandbox: no service reads a row of it, and the start ends with the reason."""
    monkeypatch.setattr(mirror, "ENGINE", engine)
    org = await (await stand({"Account": 20})).loaded()
    place = PostgresMirror(org.place / "mirror.db")
    reader = build(place) if engine == "postgres" else ""
    before = built(place, reader) if reader else []
    rows = [tuple(row) for row in org.sql("SELECT * FROM Account ORDER BY Id")]
    await org.stop()
    other = Org(records={"Account": 20}, seed=2)
    async with serve(other) as simulated:
        org.simulated = simulated
        await org.start()
        with pytest.raises(AuthenticationFailed, match="leads to org"):
            await org.parts.readers.windows.step(org.parts.base.catalog["Account"])
        with pytest.raises(Conflict, match="this mirror is of org") as caught:
            await org.parts.services.loader.step()
        await org.stop()
    other.close()
    assert caught.value.exit_status == 1
    assert "other schemas" in caught.value.do
    assert [tuple(row) for row in org.sql("SELECT * FROM Account ORDER BY Id")] == rows
    assert not reader or built(place, reader) == before


BEYOND = 3_000_000_000


async def test_an_integer_beyond_the_column_is_told_and_stops_nothing(stand: Standing) -> None:
    """Pushed: its letter keeps it, the object says so, and what comes after it is stored as before."""
    org = await stand({"Account": 20, "Contact": 10}, listen="127.0.0.1:0", describe_every="1h")
    await org.loaded()
    await org.install_package("Account", "Contact")
    first, *others = org.ids("Account")
    async with org.taking():
        org.update("Account", [first], NumberOfEmployees=BEYOND, Name="Beyond")
        org.update("Account", others[:2], Name="After it")
        org.update("Contact", org.ids("Contact")[:1], LastName="Not stopped")
        await org.pushed()
    await org.load()
    state = await org.state("Account")
    assert state.state == "incomplete"
    assert f"NumberOfEmployees of Account {first} is an integer beyond 32 bits" in str(state.error)
    assert str(BEYOND) not in str(state.error)
    await org.read()
    await org.load()
    assert (await org.state("Account")).error == state.error
    assert org.sql("SELECT count(*) FROM Account WHERE Name IN ('Beyond', 'After it')") == [(3,)]
    assert org.sql("SELECT count(*) FROM Contact WHERE LastName = 'Not stopped'") == [(1,)]
    assert await org.waiting() == 0
    letters = org.sql("SELECT record, body FROM _rts_dead_letter WHERE reason = 'BadValue'")
    assert [(row[0], str(BEYOND).encode() in bytes(row[1])) for row in letters] == [(first, True)]
    org.update("Account", [first], NumberOfEmployees=7)
    await org.restart({"Account": {}, "Contact": {}})
    for _ in range(2):
        await org.load()
        await org.read()
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account") == 20


async def test_a_load_with_an_integer_beyond_the_column_has_all_other_values(stand: Standing) -> None:
    """The first load leaves the field out and says why; another object is live."""
    org = await stand({"Account": 30, "Contact": 10}, describe_every="1h")
    org.update("Account", org.ids("Account")[7:8], NumberOfEmployees=-BEYOND)
    await org.start()
    for _ in range(3):
        await org.load()
        await org.read()
    states = await org.states()
    assert (states["Account"].state, states["Contact"].state) == ("incomplete", "live")
    assert "is an integer beyond 32 bits" in str(states["Account"].error)
    assert "exclude the field" in str(states["Account"].error)
    assert await org.equal("Account", without=("NumberOfEmployees",)) == 30
    await org.restart({"Account": {"exclude": ["NumberOfEmployees"]}, "Contact": {}})
    for _ in range(2):
        await org.load()
        await org.read()
    assert (await org.state("Account")).state == "live"


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_a_mask_on_a_number_keeps_nothing_and_says_so(
    stand: Standing, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The start succeeds on both engines: the values are gone, and the object says what to write instead."""
    monkeypatch.setattr(mirror, "ENGINE", engine)
    org = await (await stand({"Account": 20, "Contact": 5}, listen="127.0.0.1:0")).loaded()
    assert org.sql("SELECT count(NumberOfEmployees) FROM Account")[0][0] > 0
    await org.restart({"Account": {"privacy": {"NumberOfEmployees": "hash"}}, "Contact": {}})
    await org.load()
    states = await org.states()
    assert (states["Account"].state, states["Contact"].state) == ("error", "live")
    assert "hash and last4 work on text only" in str(states["Account"].error)
    assert org.sql("SELECT count(NumberOfEmployees) FROM Account")[0][0] == 0
    await org.install_package("Account")
    async with org.taking():
        org.update("Account", org.ids("Account")[:1], NumberOfEmployees=7)
        await org.pushed()
    calls = await org.calls()
    for _ in range(3):
        await org.load()
        await org.repair()
    assert await org.calls() == calls, "what cannot be used is not asked for again and again"
    await org.restart({"Account": {"privacy": {"NumberOfEmployees": "drop"}}, "Contact": {}})
    for _ in range(2):
        await org.load()
        await org.read()
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account", without=("NumberOfEmployees",)) == 20
