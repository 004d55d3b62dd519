"""Where a key leads, and the way back; keys that can do nothing here say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.dashboard import papers
from tests.support.dashboard.action_entries import action
from tests.support.dashboard.app import answered, filled, notices, rows_in_focus, still_app, text, until
from tests.support.dashboard.scenarios import live
from tests.support.dashboard.tour import typed
from tests.support.dashboard.watching import pressed, watching


@pytest.mark.parametrize(
    ("view", "keys", "place"),
    [
        ("1", ("up", "up", "enter"), "FROZEN"),
        ("2", ("up", "up", "up", "enter"), "FROZEN"),
        ("3", ("down", "E"), "Contact"),
        ("4", ("tab", "up", "enter"), "Dead letters"),
    ],
)
async def test_escape_leads_back_to_where_enter_was_pressed(
    socket: Path, view: str, keys: tuple[str, ...], place: str
) -> None:
    """To the view before, at the same row; from there, as ever, to the overview."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.letters[1].record = papers.CONTACT
        app.link.read_log()
        await pressed(pilot, view)
        await until(lambda: place in text(app) or view in {"1", "2"}, pilot)
        await until(lambda: papers.CONTACT in text(app) or view != "4", pilot)
        await pressed(pilot, *keys[:-1])
        before = rows_in_focus(app)
        await pressed(pilot, keys[-1])
        await until(lambda: app.current_mode != view, pilot)
        await pressed(pilot, "escape")
        await until(lambda: app.current_mode == view and place in text(app), pilot)
        assert rows_in_focus(app) == before
        if view != "1":
            await pressed(pilot, *(["escape"] if view != "2" else ["escape", "escape"]))
            await until(lambda: app.current_mode == "1", pilot)
        await pressed(pilot, "3", "1")
        await until(lambda: "FROZEN" not in text(app), pilot)


async def test_escape_comes_to_the_overview_from_views_that_led_to_each_other(socket: Path) -> None:
    """From events to a record, and from there to its events: each way back is gone once."""
    async with watching(socket, size=(120, 35)) as (app, pilot, _daemon):
        await pressed(pilot, "2", "up", "enter")
        await until(lambda: app.current_mode == "8", pilot)
        await pressed(pilot, "o")
        await until(lambda: app.current_mode == "2", pilot)
        gone: list[str] = []
        while app.current_mode != "1" and len(gone) < 12:
            await pressed(pilot, "escape")
            gone.append(app.current_mode)
        assert app.current_mode == "1", gone
        assert "8" in gone


async def test_keys_that_do_nothing_here_say_so(socket: Path) -> None:
    """Enter on Cancel, A with nothing chosen, u for what cannot be undone, the lines to type in."""
    async with watching(socket, size=(160, 45)) as (app, pilot, daemon):
        await pressed(pilot, "4", "tab", "R", "enter")
        await until(lambda: "Nothing was done: y says yes." in notices(app), pilot)
        await pressed(pilot, "1", "A")
        await until(lambda: any("tab goes to the objects" in said for said in notices(app)), pilot)
        await pressed(pilot, "2", "slash")
        await until(lambda: "esc cancel" in text(app).splitlines()[-1], pilot)
        assert "enter done" in text(app).splitlines()[-1], text(app).splitlines()[-1]
        await pressed(pilot, "escape", "0", *typed("SELECT Id FROM Contact"), "enter")
        await until(lambda: "i edits it" in text(app), pilot)
        assert "esc to the rows" not in text(app)
        assert not [request for request in daemon.requests if "retry" in request[0]]


@pytest.mark.parametrize(("name", "offered"), [("resume", True), ("audit", False)])
async def test_undo_is_offered_for_what_can_be_undone(socket: Path, name: str, offered: bool) -> None:  # noqa: FBT001
    """In the border of the action log, and nowhere else."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        entry = action(399, name=name, what=f"{name} of Lead", objects=["Lead"], object="Lead")
        daemon.papers["/v1/actions"] = {"actions": [entry]}
        daemon.send([], status=True)
        await pressed(pilot, "L")
        await until(lambda: f"{name} of Lead" in text(app) and "enter full" in text(app), pilot)
        await until(lambda: ("u undo · enter full" in text(app)) is offered, pilot)


async def test_a_page_that_was_frozen_fills_a_larger_screen() -> None:
    """A terminal that was small for a moment: the rows above come back."""
    app = still_app(answered(filled(live())), view="1")
    async with app.run_test(size=(120, 35)) as pilot:
        await pressed(pilot, "up")
        before = len(rows_in_focus(app))
        await pilot.resize_terminal(80, 24)
        await until(lambda: len(rows_in_focus(app)) < before, pilot)
        await pressed(pilot, "up")
        await pilot.resize_terminal(120, 35)
        await until(lambda: len(rows_in_focus(app)) == before, pilot)
        assert all("PU" in row for row in rows_in_focus(app))
