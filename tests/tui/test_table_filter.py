"""The filter of a table: the same prompt and the same words in every view, for the table in focus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.widgets import Input

from rtstui.app import RtsTui
from rtstui.filter import FilterMistake, parse_rows
from rtstui.widgets.conditions import Fields
from rtstui.widgets.errors import DeadLetters
from rtstui.widgets.objects import Objects
from rtstui.widgets.table import Table
from tests.support.dashboard.app import answered, filled, notices, still_app, text, until
from tests.support.dashboard.papers import CONTACT
from tests.support.dashboard.scenarios import healthy, live
from tests.support.dashboard.watching import pressed, watching

PLACES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("3", (), "lead"),
    ("4", (), "lock_row"),
    ("4", ("tab",), "hidden"),
    ("5", (), "bulk"),
    ("6", ("down", "enter"), "name"),
    ("7", (), "contact"),
    ("7", ("tab", "tab"), "missing"),
    ("9", (), "webinar"),
    ("1", ("shift+tab",), "contact"),
)
"""A view, keys to one of its tables, and words that some of its rows have."""


def focused(app: RtsTui) -> Table:
    """The table that has the focus."""
    assert isinstance(app.focused, Table)
    return app.focused


def passing(table: Table, words: str) -> list[str]:
    """The rows that have these words, as plain Python finds them."""
    keys = table.keys()
    return [key for key in keys if words in table.text(key).lower()]


@pytest.mark.parametrize(("view", "keys", "words"), PLACES)
async def test_every_table_is_filtered_by_the_same_key(
    socket: Path, view: str, keys: Sequence[str], words: str
) -> None:
    """While typing; the border has both numbers; enter gives the keys back; escape shows every row again."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, view)
        await until(lambda: app.current_mode == view, pilot)
        await pressed(pilot, *keys)
        await until(lambda: isinstance(app.focused, Table) and app.focused.keys(), pilot)
        table = focused(app)
        wanted = passing(table, words)
        assert 0 < len(wanted) < len(table.keys())
        await pressed(pilot, "slash", *("underscore" if letter == "_" else letter for letter in words))
        said = f"{len(wanted)} of {len(table.keys())} · esc clears"
        await until(lambda: said in text(app), pilot)
        assert list(table.shown()) == wanted
        await pressed(pilot, "enter")
        assert app.focused is table
        assert app.screen.query_one("#row-filter", Input).value == words
        await pressed(pilot, "escape")
        await until(lambda: "esc clears" not in text(app), pilot)
        assert table.shown() == table.keys()
        assert app.current_mode == view
        await pressed(pilot, "escape")
        await until(lambda: app.current_mode == "1", pilot)


async def test_rows_that_none_pass_say_so_and_nothing_acts_on_them(socket: Path) -> None:
    """The text names the number and the way back; no row is under the cursor, so no key changes one."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "3", "slash", *"nothing")
        await until(lambda: "0 of 6 match. esc clears the filter." in text(app), pilot)
        await pressed(pilot, "enter", "P")
        await until(lambda: "There is no object to do that with." in notices(app), pilot)
        assert daemon.requests == []
        await pressed(pilot, "escape")
        await until(lambda: app.screen.query_one(Objects).cursor == "Account", pilot)


async def test_a_mistake_is_explained_and_the_last_good_filter_stays(socket: Path) -> None:
    """As in the event view; escape in the prompt shows every row again."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "3", "slash", *"lead", "space", *"/(/")
        await until(lambda: "missing )" in text(app), pilot)
        assert list(app.screen.query_one(Objects).shown()) == ["Lead"]
        await pressed(pilot, "escape")
        await until(lambda: "missing )" not in text(app) and "esc clears" not in text(app), pilot)
        assert app.focused is app.screen.query_one(Objects)


async def test_each_table_of_a_view_has_its_own_filter(socket: Path) -> None:
    """The prompt shows that of the table in focus, and is not there where nothing is filtered."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "4", "slash", *"lock", "enter")
        line = app.screen.query_one("#row-filter", Input)
        await until(lambda: line.display and line.value == "lock", pilot)
        await pressed(pilot, "tab")
        await until(lambda: isinstance(app.focused, DeadLetters) and not line.display, pilot)
        await pressed(pilot, "shift+tab")
        await until(lambda: line.display and line.value == "lock", pilot)
        await pressed(pilot, "3", "4")
        await until(lambda: app.current_mode == "4" and "1 of 3 · esc clears" in text(app), pilot)


async def test_a_record_is_filtered_and_another_one_is_whole(socket: Path) -> None:
    """/ filters the fields; before there is a record it asks for one; i always does."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "8", "slash")
        await until(lambda: app.focused is app.screen.query_one("#which", Input), pilot)
        await pressed(pilot, "escape")
        app.action_record("Contact", CONTACT)
        await until(lambda: "Oliveira" in text(app), pilot)
        await pressed(pilot, "slash", *"acme", "enter")
        await until(lambda: "ana@acme.example" in text(app) and "1 of 11 · esc clears" in text(app), pilot)
        assert "Oliveira" not in text(app)
        await pressed(pilot, "i")
        await until(lambda: app.focused is app.screen.query_one("#which", Input), pilot)
        await pressed(pilot, "escape")
        app.action_record("Contact", CONTACT)
        await until(lambda: "Oliveira" in text(app), pilot)


async def test_masked_values_cannot_be_found_out_by_a_filter(socket: Path) -> None:
    """What is hidden is not searched either."""
    async with watching(socket) as (app, pilot, _):
        app.action_record("Contact", CONTACT)
        await until(lambda: "Oliveira" in text(app), pilot)
        await pressed(pilot, "m", "slash", *"oliveira")
        await until(lambda: "0 of 11 match" in text(app), pilot)


async def test_all_means_all_that_are_shown(socket: Path) -> None:
    """`a` chooses the letters and the fields that pass the filter, and leaves the others as they are."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "4", "tab", "slash", *"hidden", "enter", "a")
        letters = app.screen.query_one(DeadLetters)
        await until(lambda: letters.picked == set(letters.shown()) and len(letters.picked) == 1, pilot)
        await pressed(pilot, "6", "down", "enter")
        await until(lambda: "[x] Email" in text(app), pilot)
        await pressed(pilot, "slash", *"name", "enter", "a")
        fields = app.screen.query_one(Fields)
        await until(lambda: fields.staged.wanted == {"Email", "Phone", "FirstName", "LastName"}, pilot)


async def test_a_filter_keeps_up_with_what_changes() -> None:
    """A row that no longer has the words goes, and one that has them now comes."""
    told = filled(live())
    app = still_app(told, view="3")
    async with app.run_test(size=(120, 35)) as pilot:
        table = app.screen.query_one(Objects)
        await pressed(pilot, "slash", *"paused", "enter")
        await until(lambda: table.shown() == [], pilot)
        assert told.status is not None
        told.status.objects[1].state = "paused"
        told.rev += 1
        await until(lambda: table.shown() == ["Contact"] and table.cursor == "Contact", pilot)


async def test_a_table_without_rows_says_that_there_is_nothing_to_filter() -> None:
    """The key answers."""
    app = still_app(answered(filled(healthy())), view="4")
    async with app.run_test(size=(120, 35)) as pilot:
        await pressed(pilot, "slash")
        await until(lambda: any("Nothing to filter here" in note for note in notices(app)), pilot)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("", lambda row: True),
        ("lead", lambda row: "lead" in row.lower()),
        ("!lead", lambda row: "lead" not in row.lower()),
        ("le ta", lambda row: "le" in row.lower() and "ta" in row.lower()),
        ('"a b"', lambda row: "a b" in row.lower()),
        ("/^l/", lambda row: row.lower().startswith("l")),
        ("!/^l/", lambda row: not row.lower().startswith("l")),
        ("12:34", lambda row: "12:34" in row),
        ("obj:lead", lambda row: "obj:lead" in row),
    ],
)
def test_rows_are_chosen_by_their_text(words: str, chosen: object) -> None:
    """Rows have no fields: a colon is a sign like any other."""
    rows = ["Lead 12:34", "Contact", "Task a b", "table", "le", "obj:lead"]
    assert [row for row in rows if parse_rows(words)(row)] == [row for row in rows if chosen(row)]  # type: ignore[operator]


@pytest.mark.parametrize("words", ["/(/", "/open", '"open'])
def test_words_that_cannot_be_read_say_why(words: str) -> None:
    """No traceback, a reason."""
    with pytest.raises(FilterMistake):
        parse_rows(words)
