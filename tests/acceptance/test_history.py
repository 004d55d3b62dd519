"""The past as tables: every version of a record with its time, and the whole mirror as of a moment."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rtsd.cli import main
from rtsd.core.instant import to_iso
from rtsd.errors import UsageError
from rtsd.sync import retention
from tests.support.inprocess.channels import connect, lose_pushes
from tests.support.inprocess.stand import Stand, Standing
from tests.support.mirror import mirror_at
from tests.support.waiting import eventually

Rows = list[tuple[Any, ...]]


@pytest.fixture
def views(tmp_path: Path) -> str:
    """The configuration of views that show the past."""
    return f'[store.views]\nhistory = "{mirror_at(tmp_path / "mirror.db").views}"\n'


def now(org: Stand) -> str:
    """The moment, on the clock of the journal."""
    return to_iso(org.parts.base.machine.wall())


async def asked(org: Stand, sql: str, at: str | None = None) -> Rows:
    """The rows of `rtsd sql`."""
    async with org.client() as client:
        return [tuple(row) for row in (await client.query(sql, at)).rows]


def shown(org: Stand, columns: str, where: str = "1 = 1") -> Rows:
    """What the view of leads shows, in the order of time."""
    query = f"SELECT {columns} FROM {org.mirror.view('Lead')} WHERE {where} ORDER BY valid_from, valid_to"
    return [tuple(row) for row in org.sql(query)]


async def edited(org: Stand, record: str, company: str) -> None:
    """A push that names a company."""
    org.advance(60)
    org.update("Lead", [record], Company=company)
    await org.pushed()


async def test_a_view_has_every_version_with_its_source(stand: Standing, views: str) -> None:
    """From the load over pushes and windows to the present, without a gap and without an overlap."""
    org = await (await stand({"Lead": 5}, channel="gateway", more=views)).loaded()
    await connect(org, "Lead")
    record, other = org.ids("Lead")[:2]
    ((first, stamp),) = org.sql("SELECT Company, SystemModstamp FROM Lead WHERE Id=?", record)
    await edited(org, record, "by push")
    org.advance(600)
    await lose_pushes(org)
    org.update("Lead", [record], Company="by window")
    org.advance(60)
    await org.read()
    found = shown(
        org, "Company, version_source, version_op, ended_by, valid_from, valid_to", f"Id='{record}'"
    )
    assert [row[:4] for row in found] == [
        (first, None, None, "update"),
        ("by push", "push", "update", "update"),
        ("by window", "interval", "update", None),
    ]
    assert found[0][4] == stamp
    assert [row[5] for row in found] == [found[1][4], found[2][4], None]
    assert shown(org, "version_source, version_op, valid_to, version_unknown", f"Id='{other}'") == [
        ("audit", None, None, None)
    ]
    assert org.sql(f"SELECT COUNT(*) FROM {org.mirror.view('Lead')} WHERE valid_to IS NULL")[0][0] == 5


async def test_what_was_deleted_ends_and_begins_again(stand: Standing, views: str) -> None:
    """A delete ends the version, an undelete begins one, and a merge ends it with the winner's id."""
    org = await (await stand({"Lead": 6}, more=views)).loaded()
    loser, winner = org.ids("Lead")[2:4]
    admin = org.org.admin
    gone = []
    for act in (
        lambda: org.org.delete(admin, "Lead", [loser]),
        lambda: org.org.undelete(admin, "Lead", [loser]),
        lambda: org.org.merge(admin, "Lead", winner, [loser]),
    ):
        org.advance(60)
        act()
        org.advance(60)
        await org.read()
        gone.append(now(org))
    found = shown(org, "version_op, ended_by, merged_into, valid_from, valid_to", f"Id='{loser}'")
    assert [row[:3] for row in found] == [(None, "delete", None), ("undelete", "delete", winner)]
    assert found[0][4] < found[1][3]
    counts = [(await asked(org, "SELECT COUNT(*) FROM Lead", moment))[0][0] for moment in gone]
    assert counts == [5, 6, 5]


async def test_a_field_that_came_later_is_unknown_before(stand: Standing, views: str) -> None:
    """Neither in the view nor in `history --at` has a version a value that the mirror could not know."""
    org = await (await stand({"Lead": 5}, channel="gateway", more=views)).loaded()
    await connect(org, "Lead")
    record = org.ids("Lead")[0]
    await edited(org, record, "before")
    then = now(org)
    await edited(org, record, "between")
    field = {"name": "Vip__c", "type": "boolean", "default": True}
    await org.simulated.control("schema", {"op": "add_field", "object": "Lead", "field": field})
    org.advance(3_700)
    await org.load()
    await org.load()
    org.advance(60)
    await edited(org, record, "after")
    found = shown(org, "Company, Vip__c, version_unknown", f"Id='{record}'")
    assert [(row[0], None if row[1] is None else bool(row[1]), row[2]) for row in found[1:]] == [
        ("before", None, '["Vip__c"]'),
        ("between", True, None),
        ("after", True, None),
    ]
    async with org.client() as client:
        past = await client.record_at("Lead", record, then)
    assert past.unknown == ["Vip__c"]
    assert past.values is not None
    assert "Vip__c" not in past.values
    (row,) = await asked(org, f"SELECT Company, Vip__c FROM Lead WHERE Id='{record}'", then)
    assert row == ("before", None)


async def test_a_field_whose_type_changed_is_unknown_before(stand: Standing, views: str) -> None:
    """Its former values do not fit, and hinder nobody: from the describe on, also until it is filled."""
    org = await stand({"Lead": 5}, more=views)
    was = {"name": "Due__c", "type": "string", "length": 40}
    await org.simulated.control("schema", {"op": "add_field", "object": "Lead", "field": was})
    record = org.ids("Lead")[0]
    org.update("Lead", [record], Due__c="soon")
    org.advance(60)
    await org.loaded()
    for text in ("later", "2026-04-01"):
        org.update("Lead", [record], Due__c=text)
        org.advance(60)
        await org.read()
    edits = f"Id='{record}'"
    assert [row[0] for row in shown(org, "Due__c", edits)] == ["soon", "later", "2026-04-01"]
    new = {"name": "Due__c", "type": "date"}
    await org.simulated.control("schema", {"op": "change_field_type", "object": "Lead", "field": new})
    org.advance(3_700)
    await org.parts.readers.describer.step()
    unknown = [(None, '["Due__c"]')] * 2
    assert shown(org, "Due__c, version_unknown", edits)[:-1] == unknown
    await org.load()
    assert await org.equal("Lead") == 5
    *past, present = shown(org, "Due__c, version_unknown", edits)
    ((value,),) = org.sql("SELECT Due__c FROM Lead WHERE Id=?", record)
    assert (past, present) == (unknown, (value, None))


async def test_the_mirror_as_of_a_moment(stand: Standing) -> None:
    """`rtsd sql --at`: the rows are those that the mirror had then, in joins and subqueries, too."""
    org = await (await stand({"Lead": 40, "Account": 5}, channel="gateway")).loaded()
    await connect(org, "Lead", "Account")
    kept: list[tuple[str, Rows]] = []
    everything = "SELECT Id, Company, LastName, SystemModstamp FROM Lead ORDER BY Id"
    for round_ in range(4):
        org.advance(60)
        leads = org.ids("Lead")
        org.update("Lead", leads[round_ : 20 + round_], Company=f"round {round_}")
        with org.org.transaction(org.org.admin):
            org.org.delete(org.org.admin, "Lead", leads[-3:])
        org.create("Lead", 2, LastName=f"New {round_}", Company="Fresh")
        await org.pushed()
        await org.repair()
        kept.append((now(org), await asked(org, everything)))
    assert len({repr(rows) for _, rows in kept}) == 4
    for moment, rows in kept:
        assert await asked(org, everything, moment) == rows
        counted = (
            "WITH mine AS (SELECT * FROM lead) SELECT COUNT(*) FROM mine AS a JOIN LEAD AS b ON a.Id=b.Id;"
        )
        assert await asked(org, counted, moment) == [(len(rows),)]
        untouched = "SELECT COUNT(*) FROM (SELECT Id FROM Account) AS a -- all of them"
        assert await asked(org, untouched, moment) == [(5,)]


async def test_a_moment_that_is_not_known_is_refused(stand: Standing, views: str) -> None:
    """In the future, before the load, and before what retention has left: the object is named."""
    org = await (await stand({"Lead": 5}, more=views)).start()
    with pytest.raises(UsageError, match="future"):
        await asked(org, "SELECT COUNT(*) FROM Lead", to_iso(org.parts.base.machine.wall() + 1_000))
    early = now(org)
    org.advance(60)
    await org.load()
    with pytest.raises(UsageError, match=r"Lead is not known as it was at .*: its past is kept since 2"):
        await asked(org, "SELECT COUNT(*) FROM Lead", early)
    assert await asked(org, "SELECT 1", early) == [(1,)]
    loaded = now(org)
    assert await asked(org, "SELECT COUNT(*) FROM Lead", loaded) == [(5,)]
    org.advance(3_600)
    org.update("Lead", org.ids("Lead")[:1], Company="changed")

    async def is_read() -> bool:
        await org.read()
        return len(shown(org, "version_op", f"Id='{org.ids('Lead')[0]}'")) == 2

    await eventually(is_read, "the change is in the journal")
    keep = retention.Keep(journal_ms=1_000_000, journal_bytes=0)
    base = org.parts.base
    pruning = retention.Retention(base.database, base.inbox, base.machine.wall, keep)
    while await pruning.prune():
        pass
    with pytest.raises(UsageError, match="Lead is not known as it was"):
        await asked(org, "SELECT COUNT(*) FROM Lead", loaded)
    found = shown(org, "version_source, version_op, valid_from", f"Id='{org.ids('Lead')[0]}'")
    assert [row[:2] for row in found] == [(None, None), ("interval", "update")]


async def test_a_journal_without_an_entry_says_so(stand: Standing) -> None:
    """Retention has deleted them all: the past is gone, though the rows were complete then."""
    org = await (await stand({"Lead": 5})).loaded()
    then = now(org)
    org.advance(3_600)
    base = org.parts.base
    pruning = retention.Retention(base.database, base.inbox, base.machine.wall, retention.Keep(1, 0))
    while await pruning.prune():
        pass
    with pytest.raises(UsageError, match="past of Lead is not known, as the journal has no entry left"):
        await asked(org, "SELECT COUNT(*) FROM Lead", then)
    assert await asked(org, "SELECT COUNT(*) FROM Lead") == [(5,)]


@pytest.mark.parametrize("name", ["{schema}.lead", '"{schema}" . lead', "{view}"])
async def test_what_shows_the_present_is_refused(stand: Standing, tmp_path: Path, name: str) -> None:
    """A table by its schema, and a view of another layout: the rows would not be those of the moment."""
    place = mirror_at(tmp_path / "mirror.db").views
    org = await (await stand({"Lead": 5}, more=f'[store.views]\nheroku_connect = "{place}"\n')).loaded()
    schema = getattr(org.mirror, "schema", "main")
    sql = f"SELECT COUNT(*) FROM {name.format(schema=schema, view=org.mirror.view('Lead'))}"
    assert await asked(org, sql) == [(5,)]
    with pytest.raises(UsageError, match="what the mirror has now"):
        await asked(org, sql, now(org))
    literal = f"SELECT COUNT(*) FROM Lead WHERE Company <> '{schema}.com'"
    assert await asked(org, literal, now(org)) == [(5,)]


async def test_the_command_line_takes_moments_and_ages(
    stand: Standing, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sql --at` and `history --at` read the same forms."""
    org = await (await stand({"Lead": 5}, channel="gateway")).loaded()

    async def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = await asyncio.to_thread(main, [*words, "--socket", str(org.place / "rtsd.sock")])
        said = capsys.readouterr()
        return status, said.out + said.err

    moment = now(org)
    status, said = await run("sql", "SELECT COUNT(*) AS n FROM Lead", "--at", moment, "--json")
    assert (status, json.loads(said)["rows"]) == (0, [[5]])
    for words in (["sql", "SELECT 1"], ["history", "Lead", org.ids("Lead")[0]]):
        status, said = await run(*words, "--at", "soon")
        assert (status, "neither a moment" in said) == (2, True)
    status, said = await run("sql", "SELECT 1", "--at", "9990-01-01T00:00:00Z")
    assert (status, "in the future" in said) == (2, True)


PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
AT_A_MOMENT = re.findall(r'rtsd sql --at \S+ "([^"]+)"', PAGE)


async def test_the_examples_of_the_page_run(stand: Standing, views: str) -> None:
    """Every query of docs/history.md, on the engine of this run; those at a moment find what was there."""
    assert len(QUERIES) >= 3
    assert AT_A_MOMENT
    org = await (await stand({"Opportunity": 20, "Account": 5}, more=views)).loaded()
    won, then = org.ids("Opportunity")[:4], now(org)
    org.advance(60)
    org.update("Opportunity", won, StageName="Closed Won", AccountId=org.ids("Account")[0])
    org.advance(60)
    await org.read()
    found = []
    for query in QUERIES:
        for name in ("Opportunity", "Account"):
            query = query.replace(f"history_{name.lower()}", org.mirror.view(name))  # noqa: PLW2901
        found.append(
            len(org.sql(query.replace("006000000000001AAA", won[0]).replace("2026-03-01", "2020-03-01")))
        )
    assert all(found), "each finds something"
    for query in AT_A_MOMENT:
        assert sum(row[1] for row in await asked(org, query, then)) == 20
