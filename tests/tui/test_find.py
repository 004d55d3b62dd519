"""The prompt that finds a record, from any view, by what is known of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rtstui.app import RtsTui
from rtstui.screens.find import Find
from rtstui.widgets.chrome import VIEWS
from rtstui.widgets.record import Values
from tests.support.dashboard.app import filled, still_app, text, until
from tests.support.dashboard.papers import CONTACT, FOUND, NOTHING
from tests.support.dashboard.scenarios import live
from tests.support.dashboard.watching import pressed, watching


def shown(app: RtsTui) -> str:
    """The screen as one line of words: sentences are broken anywhere."""
    return " ".join(text(app).replace("│", " ").replace("┃", " ").split())


def asked(daemon: Any) -> list[str]:
    """The texts that were searched."""
    return [path.partition("text=")[2] for path in daemon.asked if path.startswith("/v1/find")]


async def test_a_person_is_found_and_opened_by_keys_alone(socket: Path) -> None:
    """The address, an arrow, enter: the record's view; nothing is changed on the way."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "5", "ctrl+f", *"acme")
        await until(lambda: "Ana Oliveira" in text(app) and "3 records" in text(app), pilot)
        assert "Email ana@acme.example" in text(app)
        assert "✖ deleted" in text(app)
        await pressed(pilot, "down", "enter")
        await until(lambda: app.current_mode == "8" and "Oliveira" in text(app), pilot)
        assert app.screen.query_one(Values).subject.record == CONTACT
        assert daemon.requests == []


@pytest.mark.parametrize("view", VIEWS)
async def test_escape_leaves_every_view_as_it_was(view: str) -> None:
    """The prompt opens over each view, also while something is typed there, and leaves no trace."""
    app = still_app(filled(live()))
    async with app.run_test(size=(120, 35)) as pilot:
        await pressed(pilot, view, "slash")
        before = app.focused
        await pressed(pilot, "ctrl+f")
        await until(lambda: isinstance(app.screen, Find), pilot)
        await pressed(pilot, "x", "tab", "shift+tab", "y")
        await until(lambda: " xy" in text(app), pilot)
        await pressed(pilot, "escape")
        await until(lambda: app.current_mode == ("2" if view == "1" else view), pilot)
        assert not isinstance(app.screen, Find)
        assert app.focused is before


async def test_one_request_at_a_time_and_the_newest_text_wins(socket: Path) -> None:
    """While an answer is awaited nothing else is asked; then only what was typed last."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.hold = asyncio.Event()
        await pressed(pilot, "ctrl+f", *"ana")
        await until(lambda: asked(daemon), pilot)
        await until(lambda: "Searching the mirror…" in text(app), pilot)
        await pressed(pilot, *"@ac", "enter")
        await pressed(pilot, "backspace", *"cme")
        hold, daemon.hold = daemon.hold, None
        hold.set()
        await until(lambda: "Ana Oliveira" in text(app), pilot)
        await until(lambda: asked(daemon)[1:] == ["ana@acme"], pilot)
        assert isinstance(app.screen, Find)


async def test_enter_before_the_answer_opens_the_first_record(socket: Path) -> None:
    """Who types quickly need not wait."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.hold = asyncio.Event()
        await pressed(pilot, "ctrl+f", *"acme", "enter")
        await until(lambda: asked(daemon), pilot)
        daemon.hold.set()
        await until(lambda: app.current_mode == "8", pilot)
        assert app.screen.query_one(Values).subject.objects == ("Account",)


async def test_every_outcome_has_its_words(socket: Path) -> None:
    """Nothing typed, too little, nothing found, more than are shown, a failure: each says what to do."""
    async with watching(socket, size=(80, 24)) as (app, pilot, daemon):
        daemon.papers["/v1/find?text=nobody"] = NOTHING
        many = [FOUND["records"][1] | {"id": f"003Dn{number:010d}AAJ"} for number in range(20)]
        daemon.papers["/v1/find?text=nobod"] = {"records": many, "truncated": True}
        await pressed(pilot, "ctrl+f")
        await until(lambda: "no API call is made" in shown(app), pilot)
        await pressed(pilot, *"nobody", "enter")
        await until(lambda: 'Nothing in the mirror has "nobody"' in shown(app), pilot)
        await pressed(pilot, "backspace")
        await until(lambda: "the first 20 records of more: go on typing" in shown(app), pilot)
        del daemon.papers["/v1/find"]
        daemon.refused["/v1/find"] = (400, "UsageError", "a search needs at least 3 characters")
        await pressed(pilot, "backspace")
        await until(lambda: "Go on typing: a search needs at least 3 characters." in shown(app), pilot)
        daemon.refused["/v1/find"] = (503, "StorageFailed", "the disk is [/] broken")
        await pressed(pilot, "backspace")
        await until(lambda: "✖ rtsd cannot search: the disk is [/] broken" in shown(app), pilot)
        await pressed(pilot, *(["backspace"] * 3))
        await until(lambda: "no API call is made" in shown(app), pilot)


async def test_a_lost_daemon_is_searched_when_it_is_back(socket: Path) -> None:
    """What was typed stays, and needs no key more."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "ctrl+f")
        await daemon.stop()
        await until(lambda: not app.state.live, pilot)
        await pressed(pilot, *"acme")
        await until(lambda: "rtsd is not connected" in shown(app), pilot)
        await daemon.start()
        await until(lambda: "Ana Oliveira" in text(app), pilot)


async def test_an_older_daemon_cannot_search(socket: Path) -> None:
    """It says so, and does not look like a search that found nothing."""
    async with watching(socket) as (app, pilot, daemon):
        del daemon.papers["/v1/find"]
        await pressed(pilot, "ctrl+f", *"acme")
        await until(lambda: "rtsd cannot search" in shown(app), pilot)


async def test_masked_values_stay_masked(socket: Path) -> None:
    """Names and what matched; the id is none of them. Reading needs no permission to act."""
    async with watching(socket, read_only=True) as (app, pilot, _):
        await pressed(pilot, "m", "ctrl+f", *"acme")
        await until(lambda: CONTACT in text(app), pilot)
        assert "Oliveira" not in text(app)
        assert "ana@acme.example" not in text(app)
        assert "Email •••••" in text(app)


async def test_a_narrow_screen_shows_who_was_found(socket: Path) -> None:
    """On 40x10 there is room for a row, at 200x50 for every word."""
    async with watching(socket, size=(40, 10)) as (app, pilot, _):
        await pressed(pilot, "ctrl+f", *"acme")
        await until(lambda: "✖" in text(app) and "Contact" in text(app), pilot)
        await pilot.resize_terminal(200, 50)
        await until(
            lambda: "Email ana@acme.example" in text(app) and "001Dn00000Aq1ZxAAJ" in text(app), pilot
        )
