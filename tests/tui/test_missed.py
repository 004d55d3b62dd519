"""Missed pushes: per spell when, why and how many; which, and their records; the words of `rtsd missed`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rtsd.control.protocol import Missed
from rtstui import documents
from rtstui.screens.record import RecordView
from rtstui.screens.spell import SpellChanges
from rtstui.widgets.missed import Changes, Spells
from tests.support.dashboard import papers
from tests.support.dashboard.app import answered, filled, still_app, text, until
from tests.support.dashboard.scenarios import live, silent
from tests.support.dashboard.watching import pressed, watching


async def test_spells_say_when_why_and_how_many(socket: Path) -> None:
    """The newest first; what was not due is told from what was missed, by a word."""
    async with watching(socket, size=(160, 45)) as (app, pilot, daemon):
        daemon.papers["/v1/missed"] = papers.missed(910)
        daemon.status.push.missed_24h = 910
        daemon.send([], status=True)
        await pressed(pilot, "7")
        await until(
            lambda: "2 spells · 910 changes came without a push, all in the mirror" in text(app), pilot
        )
        rows = [line for line in text(app).splitlines() if "missed  " in line or "not due" in line]
        assert len(rows) == 2
        assert "no sync condition watches the changed fields" in rows[1]
        for word in ("09:04", "12:19", "✔", "910", "missed", "Contact 910", "no push for 30m"):
            assert word in rows[0], word
        assert daemon.asked.count("/v1/missed?since=2026-02-28T12:34:56%2B00:00") == 1


async def test_a_spell_lists_its_changes_and_a_change_opens_its_record(socket: Path) -> None:
    """The first hundred, with how they were found, and the whole reason."""
    async with watching(socket, size=(80, 24)) as (app, pilot, daemon):
        daemon.papers["/v1/missed"] = papers.missed(910)
        daemon.status.push.missed_24h = 910
        daemon.send([], status=True)
        await pressed(pilot, "7", "tab")
        await until(lambda: "910 changes came without a push" in text(app), pilot)
        await pressed(pilot, "home", "enter")
        await until(lambda: isinstance(app.screen, SpellChanges), pilot)
        screen = text(app)
        assert "Without a push: the first 100 of 910 changes" in screen
        assert "rtsd was stopped, or restarted." in screen
        assert "Found 910 by PULL; all are in the mirror." in screen
        await pressed(pilot, "end")
        await until(lambda: papers.CONTACT in text(app), pilot)
        await pressed(pilot, "enter")
        await until(lambda: isinstance(app.screen, RecordView) and "Head of Logistics" in text(app))


async def test_a_spell_that_goes_on_warns_and_the_list_says_why_its_number_may_fall(socket: Path) -> None:
    """A finished spell read 782, and later 773: pushes that come late take their changes off."""
    async with watching(socket, size=(160, 45)) as (app, pilot, daemon):
        daemon.papers["/v1/missed"] = papers.missed(7)
        daemon.status.push.missed_24h = 7
        daemon.send([], status=True)
        await pressed(pilot, "7")
        await until(lambda: "2 spells · 7 changes came without a push" in text(app), pilot)
        (row,) = [line for line in text(app).splitlines() if "missed  " in line]
        assert "▲" in row
        await pressed(pilot, "tab", "home", "enter")
        await until(lambda: isinstance(app.screen, SpellChanges), pilot)
        assert "takes its change off" in text(app)


async def test_the_list_of_changes_is_closed_without_a_choice(socket: Path) -> None:
    """Back in the view, at the same spell."""
    async with watching(socket, size=(100, 30)) as (app, pilot, _):
        await pressed(pilot, "7", "tab")
        await until(lambda: app.screen.query_one(Spells).keys(), pilot)
        await pressed(pilot, "end", "enter")
        await until(lambda: isinstance(app.screen, SpellChanges), pilot)
        assert len(app.screen.query_one(Changes).keys()) == 3
        await pressed(pilot, "escape")
        await until(lambda: app.current_mode == "7" and not isinstance(app.screen, SpellChanges), pilot)
        assert app.screen.query_one(Spells).has_focus


async def test_h_lists_a_week(socket: Path) -> None:
    """The daemon is asked for it once, and the title says so."""
    async with watching(socket, size=(100, 30)) as (app, pilot, daemon):
        await pressed(pilot, "7")
        await until(lambda: "Missed pushes, 24 h, UTC" in text(app), pilot)
        await pressed(pilot, "h")
        await until(lambda: "Missed pushes, 7 days, UTC" in text(app), pilot)
        assert "/v1/missed?since=2026-02-22T12:34:56%2B00:00" in daemon.asked
        await pressed(pilot, "h")
        await until(lambda: "Missed pushes, 24 h" in text(app))


async def test_rows_out_of_sight_are_counted_as_rows() -> None:
    """On a low screen: one of two spells, not one of twelve changes."""
    app = still_app(answered(filled(silent())), view="7")
    async with app.run_test(size=(60, 16)):
        await until(lambda: "2 to 2 of 2 spells · 12 changes came" in text(app))


async def test_no_spell_is_said_in_the_words_of_the_verb() -> None:
    """Not an empty panel."""
    told = answered(filled(live()))
    none = papers.missed() | {"spells": []}
    told.documents.get(documents.missed(24, "")).value = msgspec.convert(none, Missed)
    app = still_app(told, view="7")
    async with app.run_test(size=(80, 24)):
        await until(lambda: "No push was missed since 02-28 12:34 UTC." in text(app))
        assert "none missed" in text(app)


async def test_while_it_is_loaded_the_panel_says_so() -> None:
    """And names what it waits for."""
    told = filled(live())
    document = told.documents.get(documents.missed(24, ""))
    document.loading, document.requested_at = True, told.now().replace(second=50)
    app = still_app(told, view="7")
    async with app.run_test(size=(80, 24)):
        await until(lambda: "Asking rtsd for the list of missed pushes… 6s" in text(app))


@pytest.mark.parametrize("known", [True, False])
async def test_without_the_daemon_or_its_database_the_list_is_old_or_unknown(
    socket: Path,
    known: bool,  # noqa: FBT001
) -> None:
    """A list that was there stays, dated; none is made up."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        if known:
            await pressed(pilot, "7")
            await until(lambda: "none missed" in text(app), pilot)
        await daemon.stop()
        await until(lambda: not app.state.live, pilot)
        await pressed(pilot, "7")
        wanted = (
            "as of 12:34:56 UTC · 1 spell · none missed"
            if known
            else "the list of missed pushes was not loaded"
        )
        await until(lambda: wanted in text(app))


async def test_a_database_that_is_away_is_named() -> None:
    """Rtsd refuses, and says why."""
    told = filled(silent())
    document = told.documents.get(documents.missed(24, ""))
    document.requested_at, document.problem = told.now(), "StorageAway: the database is away"
    app = still_app(told, view="7")
    async with app.run_test(size=(100, 30)):
        await until(lambda: "cannot provide the list of missed pushes: StorageAway" in text(app))
