"""What somebody does who knows only the screen: each key says what it will do, and then does it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtsd.control.protocol import DeadLetter
from rtstui.screens.action_log import ActionLog
from rtstui.screens.dialogs import Confirm, Help, Reader
from rtstui.screens.find import Find, FindLine
from rtstui.widgets.errors import DeadLetters
from rtstui.widgets.missed import Spells
from rtstui.widgets.record import Values
from rtstui.widgets.sql_editor import SqlEditor
from tests.support.dashboard import papers
from tests.support.dashboard.action_entries import action
from tests.support.dashboard.app import text, until
from tests.support.dashboard.scenarios import ago
from tests.support.dashboard.tour import typed
from tests.support.dashboard.watching import pressed, watching


async def test_a_first_condition_says_that_it_ends_any_change_pushes(socket: Path) -> None:
    """A field that is added reads like more pushes, and means fewer: before the dialog and in it."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.papers["/v1/objects/Account/conditions"]["fields"] = []
        await pressed(pilot, "6")
        await until(lambda: "No field is chosen: any change pushes." in text(app), pilot)
        await pressed(pilot, "enter", "space")
        await until(lambda: "Until now any change pushes" in text(app), pilot)
        await pressed(pilot, "enter")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        await until(lambda: "now   none: any change pushes" in text(app), pilot)
        assert "Until now any change pushes; then only a change of these fields does." in text(app)
        assert "A change of other fields alone is not pushed" in text(app)
        assert "others still come" not in text(app)


async def test_a_typed_confirmation_says_what_enter_does(socket: Path) -> None:
    """Once the name is right; before, what to type."""
    async with watching(socket, size=(120, 35)) as (app, pilot, _):
        await pressed(pilot, "3", "A")
        await until(lambda: "type Account to go on · esc cancels" in text(app), pilot)
        await pressed(pilot, *"Account")
        await until(lambda: "enter: Audit · esc cancels" in text(app), pilot)
        assert "enter  Audit" in text(app)
        await pressed(pilot, "backspace")
        await until(lambda: "type Account to go on · esc cancels" in text(app), pilot)


async def test_sql_takes_what_is_typed_and_escape_frees_the_keys(socket: Path) -> None:
    """The m of a SELECT masked every value; with nothing typed, escape leads back as in every view."""
    async with watching(socket, size=(120, 35)) as (app, pilot, _):
        await pressed(pilot, "0")
        await until(lambda: app.focused is app.screen.query_one(SqlEditor), pilot)
        await until(lambda: "f1 help" in text(app).splitlines()[-1], pilot)
        assert "? help" not in text(app).splitlines()[-1], "that is text here"
        await pressed(pilot, "escape")
        await until(lambda: app.current_mode == "1", pilot)
        await pressed(pilot, "0", *typed("SELECT m"))
        assert app.screen.query_one(SqlEditor).text == "SELECT m"
        assert not app.masking
        await pressed(pilot, "escape", "5")
        await until(lambda: app.current_mode == "5", pilot)
        await pressed(pilot, "0", "i", "enter")
        await until(lambda: " · read 12:34:56 UTC" in text(app), pilot)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_errors_begins_where_there_are_rows(socket: Path, when: str) -> None:
    """With no error but a dead letter R acts at once, the tab marks no error, enter shows the letter."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.errors, daemon.letters, daemon.status.errors_24h, daemon.status.dead_letters = [], [], 0, 0
        daemon.send([], status=True)
        await until(lambda: app.state.errors == app.state.dead_letters == [], pilot)
        if when == "after":
            await pressed(pilot, "4")
            await until(lambda: "✔ No errors." in text(app), pilot)
        daemon.letters = [
            DeadLetter(
                id=1,
                at=ago(9),
                reason="UnknownObject",
                message="Survey__c is not among the configured [[objects]]",
                object="Survey__c",
                record="a02Dn00000Kk1PnAAJ",
            )
        ]
        daemon.status.dead_letters = 1
        daemon.send([], status=True)
        await until(lambda: app.state.dead_letters, pilot)
        if when == "before":
            await pressed(pilot, "4")
        await until(lambda: app.focused is app.screen.query_one(DeadLetters), pilot)
        await until(lambda: "4 Errors ▲1" in text(app), pilot)
        await pressed(pilot, "enter")
        await until(lambda: isinstance(app.screen, Reader), pilot)
        await until(lambda: "not among the configured" in text(app), pilot)
        await pressed(pilot, "escape", "R")
        await until(lambda: isinstance(app.screen, Confirm), pilot)


async def test_help_has_the_keys_of_the_panels_beside(socket: Path) -> None:
    """R and D belong to the letters: help says so while the errors have the focus."""
    async with watching(socket, size=(120, 60)) as (app, pilot, _):
        await pressed(pilot, "4", "question_mark")
        await until(lambda: isinstance(app.screen, Help) and "IN DEAD LETTERS" in text(app), pilot)
        screen = text(app)
        assert "retry…" in screen
        assert "drop…" in screen


async def test_the_same_keys_do_the_same_again(socket: Path) -> None:
    """7 Tab Enter opens the newest spell, also after somebody went elsewhere in the view."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.papers["/v1/missed"] = papers.missed(910)
        for _ in range(2):
            await pressed(pilot, "7")
            await until(lambda: app.current_mode == "7" and "spells" in text(app), pilot)
            await pressed(pilot, "tab")
            spells = app.screen.query_one(Spells)
            assert app.focused is spells
            assert spells.cursor == spells.keys()[-1]
            await pressed(pilot, "home", "tab", "1")
            await until(lambda: app.current_mode == "1", pilot)


async def test_the_action_log_opens_on_the_newest(socket: Path) -> None:
    """Also while it shows what it knew a moment ago."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.papers["/v1/actions"] = {
            "actions": [action(390, "pause", what="paused Lead", objects=["Lead"])]
        }
        await pressed(pilot, "L")
        await until(lambda: "paused Lead" in text(app), pilot)
        await pressed(pilot, "escape")
        newer = action(395, "pause", what="paused Task", objects=["Task"])
        daemon.papers["/v1/actions"]["actions"].insert(0, newer)
        await pressed(pilot, "L")
        app.state.documents.expire("actions")
        await until(lambda: "paused Task" in text(app), pilot)
        log = app.screen
        assert isinstance(log, ActionLog)
        await until(lambda: log.chosen is not None and log.chosen.seq == 395, pilot)


async def test_a_name_in_the_record_view_is_searched_for(socket: Path) -> None:
    """Whoever types a name there means the search, with or without the object before it."""
    async with watching(socket, size=(120, 35)) as (app, pilot, _):
        await pressed(pilot, "8")
        await until(lambda: "ctrl+f finds a" in text(app), pilot)
        for words in ("kova", "Contact kova"):
            await pressed(pilot, "i", *(["ctrl+u"] if words != "kova" else []), *typed(words), "enter")
            await until(lambda: isinstance(app.screen, Find), pilot)
            assert app.screen.query_one(FindLine).value == "kova"
            await pressed(pilot, "escape")
            await until(lambda: not isinstance(app.screen, Find), pilot)


async def test_the_palette_pauses_one_object(socket: Path) -> None:
    """Somebody who looks for "pause" must not be led to stop everything."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        commands = {command.title: command.callback for command in app.get_system_commands(app.screen)}
        pauses = [title for title in commands if title.startswith("Pause")]
        assert pauses[:2] == ["Pause Account", "Pause Contact"]
        assert pauses[-1] == "Pause the whole sync: all objects"
        commands["Pause Contact"]()
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        await pressed(pilot, "y")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("POST /v1/pause", {"objects": ["Contact"]})]
        for word in ("delay", "person"):
            assert any(word in title for title in commands), word


async def test_a_record_shows_what_it_has_and_a_field_its_past(socket: Path) -> None:
    """Most fields are empty: e shows them, also from the history; enter has a field's changes."""
    async with watching(socket, size=(120, 35)) as (app, pilot, _):
        app.action_record("Contact", papers.CONTACT)
        await until(lambda: "empty, e shows them" in text(app), pilot)
        await pressed(pilot, "tab", "e")
        await until(lambda: "empty, e shows them" not in text(app), pilot)
        await pressed(pilot, "e", "shift+tab")
        values = app.screen.query_one(Values)
        values.choose("Email")
        await pressed(pilot, "enter")
        await until(lambda: isinstance(app.screen, Reader) and "CHANGES" in text(app), pilot)


async def test_a_spell_has_seconds(socket: Path) -> None:
    """One that begins and ends within a minute is none of no length."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.papers["/v1/missed"] = papers.missed(910)
        await pressed(pilot, "7")
        await until(lambda: re.search(r"\d\d:\d\d:\d\d +\d\d:\d\d:\d\d +✔", text(app)), pilot)


async def test_help_explains_the_words_of_the_screens(socket: Path) -> None:
    """Under the name of the view, as its tab has it."""
    async with watching(socket, size=(120, 70)) as (app, pilot, _):
        await pressed(pilot, "0", "f1")
        await until(lambda: "Help: SQL" in text(app), pilot)
        screen = text(app)
        for word in ("proven", "as of", "fingerprint", "spell", "deferred", "relay"):
            assert re.search(rf"  {word}  +\w", screen), word
        assert "AUDIT REPAIR read to prove" in screen


async def test_what_letters_are_for_is_in_the_line_of_keys_of_a_small_screen(socket: Path) -> None:
    """At 80x24 there is no room for all: retry and drop come before the choice of several."""
    async with watching(socket, size=(80, 24)) as (app, pilot, _):
        await pressed(pilot, "4", "tab")
        await until(lambda: "R retry…  D drop…" in text(app).splitlines()[-1], pilot)
