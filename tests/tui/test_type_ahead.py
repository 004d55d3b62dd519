"""Keys in a burst, as over a slow connection: each is handled where the one before it has led to."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input, TextArea

from rtstui import type_ahead
from rtstui.app import RtsTui
from rtstui.screens.view import View
from rtstui.widgets.objects import Objects
from tests.support.dashboard.app import filled, still_app, until
from tests.support.dashboard.scenarios import live
from tests.support.dashboard.tour import tour, toured
from tests.support.dashboard.watching import watching

NAMES = {"/": "slash", ":": "colon", " ": "space", "@": "at", "\x06": "ctrl+f", "\x1b": "escape"}


def burst(app: RtsTui, keys: str) -> None:
    """All of them at once."""
    for key in keys:
        app.post_message(events.Key(NAMES.get(key, key), key))


def typed(app: RtsTui) -> str | None:
    """What is in the line or the editor that has the keys."""
    match app.focused:
        case Input(value=text) | TextArea(text=text):
            return text
    return None


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("2/obj:Contact", "obj:Contact"),
        ("3/Lead", "Lead"),
        ("5\x06Pym@acme", "Pym@acme"),
        ("8iContact 003", "Contact 003"),
        ("0SELECT Name", "SELECT Name"),
        ("2/x\x1b3/Py", "Py"),
        ("4:Pause", "Pause"),
    ],
)
async def test_what_is_typed_ahead_is_typed(keys: str, text: str, socket: Path) -> None:
    """The view, the prompt, the text: nothing is lost, and no letter of it runs as a command."""
    async with watching(socket) as (app, pilot, daemon):
        burst(app, keys)
        await until(lambda: typed(app) == text, pilot)
        assert daemon.requests == []


async def test_what_is_pasted_after_a_key_waits_for_it(socket: Path) -> None:
    """A paste goes into the line that the key before it opens, and the keys after it come later."""
    async with watching(socket) as (app, pilot, _daemon):
        burst(app, "2/")
        app.post_message(events.Paste("obj:Con"))
        burst(app, "tact")
        await until(lambda: typed(app) == "obj:Contact", pilot)


async def test_no_key_of_the_tour_is_waited_for_in_vain(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each key's effects are noticed, those of a key that closes what handled it, too: no lag after Esc."""
    monkeypatch.setattr(type_ahead, "GIVES_UP_S", 3600)
    async with toured(socket) as (app, pilot):
        async for _ in tour(app, pilot):
            pass


async def test_a_key_that_is_held_down_moves_as_often() -> None:
    """Four times down in a burst are four rows, and what follows comes after them."""
    app = still_app(filled(live()), view="3")
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: isinstance(app.focused, Objects), pilot)
        for _ in range(4):
            app.post_message(events.Key("down", None))
        for _ in range(2):
            app.post_message(events.Key("up", None))
        table = app.screen.query_one(Objects)
        third = list(table.keys())[2]
        await until(lambda: table.cursor == third, pilot)


async def test_a_screen_that_closed_holds_no_key(socket: Path) -> None:
    """What should have led somewhere is gone: the next keys are handled all the same."""
    async with watching(socket) as (app, pilot, _daemon):
        burst(app, "\x06x\x1b")
        burst(app, "2\x1b5")
        await until(lambda: isinstance(app.screen, View) and app.current_mode == "5", pilot)
