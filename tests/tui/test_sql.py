"""The SQL view: a statement over several lines, what was run before, names that complete, rows that open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtsd.control.protocol import MirroredFields
from rtstui import sql_history
from rtstui.app import RtsTui
from rtstui.screens.dialogs import Reader
from rtstui.sql_completion import complete
from rtstui.sql_history import KEPT, LONGEST, SqlHistory
from rtstui.widgets.record import Values
from rtstui.widgets.result import ResultTable
from rtstui.widgets.sql_editor import SqlEditor
from tests.support.dashboard.app import notices, text, until
from tests.support.dashboard.papers import RESULT, SCHEMA
from tests.support.dashboard.tour import typed
from tests.support.dashboard.watching import pressed, watching

OBJECTS = msgspec.convert(SCHEMA, MirroredFields).objects


def editor(app: RtsTui) -> SqlEditor:
    """The editor of the view."""
    return app.screen.query_one(SqlEditor)


def ran(app: RtsTui) -> str:
    """The statement whose rows are shown."""
    return app.screen.query_one(ResultTable).sql


# -- typing and running ----------------------------------------------------------------------------


async def test_enter_runs_one_line_and_what_ends_with_a_semicolon(socket: Path) -> None:
    """As psql and pgcli do; the border says what enter does now, and the keys are the rows' then."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *typed("SELECT 1"))
        await until(lambda: "enter runs" in text(app), pilot)
        await pressed(pilot, "enter")
        await until(lambda: ran(app) == "SELECT 1" and "Person 3" in text(app), pilot)
        assert app.focused is app.screen.query_one(ResultTable)
        await pressed(pilot, "i", "ctrl+n", *typed("FROM x"))
        await until(lambda: "; and enter, or ctrl+r, runs" in text(app), pilot)
        await pressed(pilot, "enter", *typed("LIMIT 2;"))
        assert editor(app).text == "SELECT 1\nFROM x\nLIMIT 2;"
        await pressed(pilot, "enter")
        await until(lambda: ran(app) == "SELECT 1\nFROM x\nLIMIT 2", pilot)


@pytest.mark.parametrize("key", ["ctrl+r", "f5", "ctrl+enter", "ctrl+j"])
async def test_any_statement_runs_by_a_key(socket: Path, key: str) -> None:
    """Also without a semicolon at its end."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *typed("SELECT"), "ctrl+n", *typed("1"), key)
        await until(lambda: ran(app) == "SELECT\n1", pilot)


async def test_a_refusal_is_told_in_the_words_of_the_daemon(socket: Path) -> None:
    """Under the statement, which stays to be mended."""
    async with watching(socket) as (app, pilot, daemon):
        del daemon.papers["POST /v1/query"]
        daemon.refuse = (400, "UsageError", "no such column: Emial")
        await pressed(pilot, "0", *typed("SELECT Emial"), "enter")
        await until(lambda: "✖ no such column: Emial" in text(app), pilot)
        assert editor(app).text == "SELECT Emial"


async def test_keys_are_free_in_a_view_that_was_left(socket: Path) -> None:
    """Whoever comes back by a digit can go on by a digit; the statement is still there."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *typed("SELECT"))
        app.action_view("1")
        await until(lambda: app.current_mode == "1", pilot)
        await pressed(pilot, "0")
        await until(lambda: app.current_mode == "0", pilot)
        assert editor(app).text == "SELECT"
        await pressed(pilot, "5")
        await until(lambda: app.current_mode == "5", pilot)


async def test_a_pasted_text_cannot_steer_the_terminal(socket: Path) -> None:
    """Several lines are taken as they are, signs that steer are shown as pictures."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0")
        editor(app).show("SELECT '\x1b[2J'\r\nFROM\tContact")
        await until(lambda: "SELECT '␛[2J'" in text(app), pilot)
        assert editor(app).text == "SELECT '␛[2J'\nFROM    Contact"


# -- what was run before ---------------------------------------------------------------------------


async def test_what_was_run_comes_back_also_after_a_restart(socket: Path) -> None:
    """Up at the first line, down at the last; what was being typed is at the end. Only its owner reads it."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *typed("SELECT 1"), "enter", "i", "ctrl+n", *typed("x;"), "enter")
        await until(lambda: ran(app) == "SELECT 1\nx", pilot)
    file = sql_history.path()
    assert file.stat().st_mode & 0o777 == 0o600
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *typed("new"), "up")
        await until(lambda: editor(app).text == "SELECT 1\nx;", pilot)
        await pressed(pilot, "up")
        assert editor(app).text == "SELECT 1\nx;"  # the cursor has gone up a line
        await pressed(pilot, "up")
        await until(lambda: editor(app).text == "SELECT 1", pilot)
        await pressed(pilot, "up", "ctrl+down", "down", "down")
        await until(lambda: editor(app).text == "new", pilot)


async def test_a_history_that_cannot_be_written_is_no_failure(socket: Path) -> None:
    """The statement runs, and the reason is told."""
    sql_history.path().parent.write_text("no directory")
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *typed("SELECT 1"), "enter")
        await until(lambda: any("history cannot be written" in note for note in notices(app)), pilot)
        await until(lambda: "Person 3" in text(app), pilot)


def test_the_history_is_bounded_and_has_no_statement_twice(tmp_path: Path) -> None:
    """The newest place counts; what another dashboard wrote stays; damage costs its own line only."""
    file = tmp_path / "rts" / "sql-history"
    ours, theirs = SqlHistory(file), SqlHistory(file)
    ours.add("a")
    theirs.add("b")
    ours.add("a")
    assert SqlHistory(file).statements == ["b", "a"]
    file.write_text(file.read_text() + "damage\n17\n" + json.dumps("c") + "\n")
    assert SqlHistory(file).statements == ["b", "a", "c"]
    again = SqlHistory(file)
    again.add("x" * (LONGEST + 1))
    for number in range(KEPT + 5):
        again.add(f"SELECT {number}")
    assert SqlHistory(file).statements == [f"SELECT {number}" for number in range(5, KEPT + 5)]
    assert [found.name for found in file.parent.iterdir()] == ["sql-history"]


# -- completion ------------------------------------------------------------------------------------


async def test_tab_completes_and_never_leaves(socket: Path) -> None:
    """Again and again steps through the names, which are in sight; without one it says so."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "0")
        await until(lambda: "/v1/schema" in daemon.asked, pilot)
        await pressed(pilot, *typed("SELECT Em FROM Con"), "tab")
        await until(lambda: editor(app).text.endswith("FROM Contact"), pilot)
        await pressed(pilot, *["left"] * 13, "tab")
        await until(lambda: editor(app).text == "SELECT Email FROM Contact", pilot)
        await until(lambda: "1 of 2" in text(app) and "EmailBouncedDate" in text(app), pilot)
        await pressed(pilot, "tab")
        await until(lambda: editor(app).text == "SELECT EmailBouncedDate FROM Contact", pilot)
        await pressed(pilot, "shift+tab", "x", "tab")
        await until(lambda: 'No table or column begins with "Emailx".' in text(app), pilot)
        assert app.focused is editor(app)


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("SELECT * FROM ", "", ["Account", '"Case"', "Contact"]),
        ("SELECT * FROM c", "", ['"Case"', "Contact"]),
        ("SELECT * FROM Account, con", "", ["Contact"]),
        ("SELECT * FROM Account a JOIN cont", "", ["Contact"]),
        ("SELECT na", " FROM Account", ["Name", "NaicsCode"]),
        ("SELECT a.n", " FROM Account a JOIN Contact c", ["Name", "NaicsCode"]),
        ("SELECT c.e", " FROM Account AS a JOIN Contact AS c", ["Email", "EmailBouncedDate"]),
        ("SELECT Contact.f", "", ["FirstName"]),
        ("SELECT first", "", ["FirstName"]),
        ("SELECT * FROM Contact WHERE last", "", ["LastName"]),
        ("SELECT zzz", "", []),
        ("SELECT Email", " FROM Contact", ["EmailBouncedDate"]),
    ],
)
def test_names_are_those_that_can_stand_there(before: str, after: str, names: list[str]) -> None:
    """Tables after FROM and JOIN; else the columns of the tables that the statement names, in any case."""
    assert complete(before, before + after, OBJECTS).names == names


def test_a_table_in_a_schema_is_completed_with_it() -> None:
    """In PostgreSQL, whose names are in small letters."""
    objects = msgspec.convert(
        {"objects": [{"object": "Contact", "table": '"salesforce"."contact"', "fields": []}]}, MirroredFields
    ).objects
    assert complete("SELECT * FROM con", "", objects).names == ["salesforce.contact"]
    assert complete("SELECT * FROM salesforce.c", "", objects).names == ["contact"]


# -- rows ------------------------------------------------------------------------------------------


async def test_enter_on_a_row_with_an_id_opens_its_record(socket: Path) -> None:
    """And d shows the row in full."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *typed("SELECT 1"), "enter")
        await until(lambda: "Person 3" in text(app), pilot)
        await pressed(pilot, "down", "d")
        await until(lambda: isinstance(app.screen, Reader) and "Person 1" in text(app), pilot)
        await pressed(pilot, "escape", "enter")
        await until(lambda: app.current_mode == "8", pilot)
        assert app.screen.query_one(Values).subject.record == RESULT["rows"][1][0]


@pytest.mark.parametrize(
    ("columns", "row", "record"),
    [
        (["id", "x"], ["003Dn00000Aq1Zx", 1], "003Dn00000Aq1Zx"),
        (["x", "OwnerId"], [1, "005Dn00000Kk1PnIAJ"], "005Dn00000Kk1PnIAJ"),
        (["OwnerId", "Id"], ["005Dn00000Kk1PnIAJ", "003Dn00000Aq1ZxAAJ"], "003Dn00000Aq1ZxAAJ"),
        (["x"], ["Internationalisati"], None),
        (["Id"], [17], None),
    ],
)
async def test_a_row_is_of_the_record_that_it_names(
    socket: Path, columns: list[str], row: list[Any], record: str | None
) -> None:
    """Its column Id, else a value whose checksum proves that it is an id; any other row is shown in full."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.papers["POST /v1/query"] = {"columns": columns, "rows": [row], "truncated": False}
        await pressed(pilot, "0", *typed("SELECT 1"), "enter")
        await until(lambda: "1 row" in text(app), pilot)
        await pressed(pilot, "enter")
        if record is None:
            await until(lambda: isinstance(app.screen, Reader), pilot)
        else:
            await until(lambda: app.current_mode == "8", pilot)
            assert app.screen.query_one(Values).subject.record == record
