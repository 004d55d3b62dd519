"""To a time: T in the events, in what is kept here and in rtsd's journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from rtsd.control.protocol import Event
from rtstui.app import RtsTui
from rtstui.widgets.prompt import InputLine
from rtstui.widgets.stream import Stream
from tests.support.dashboard.app import notices, running, text, until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import events, healthy
from tests.support.dashboard.watching import pressed


@asynccontextmanager
async def an_hour(socket: Path) -> AsyncIterator[tuple[RtsTui, Pilot[int], Stream, FakeDaemon]]:
    """The event view over an entry a second for the last 50 minutes, of which it has the last 1,000."""
    status = healthy()
    status.last_seq = 3_000
    daemon = FakeDaemon(socket, status, events(1, 3_000, per_second=1))
    async with daemon, running(socket) as (app, pilot):
        await until(lambda: app.state.live and daemon.following, pilot)
        await pressed(pilot, "2")
        yield app, pilot, app.screen.query_one(Stream), daemon


async def typed(pilot: Pilot[int], words: str) -> None:
    """Go to a time."""
    await pressed(pilot, "T", *words, "enter")


def at(stream: Stream, seq: int) -> bool:
    """Whether the view is frozen on an entry."""
    return stream.chosen is not None and stream.chosen.seq == seq


async def test_a_time_that_is_kept_here_is_gone_to(socket: Path) -> None:
    """The first entry at or after it, whichever way it is typed; G goes on live."""
    async with an_hour(socket) as (app, pilot, stream, _):
        await typed(pilot, "-10m")
        await until(lambda: at(stream, 2_400), pilot)
        await typed(pilot, "12:30")
        await until(lambda: at(stream, 3_000 - 296), pilot)
        await typed(pilot, "2026-03-01T12:33:56")
        await until(lambda: at(stream, 2_940), pilot)
        assert "FROZEN" in text(app)
        await pressed(pilot, "G")
        await until(lambda: stream.frozen is None)


async def test_an_older_time_is_loaded_from_the_journal(socket: Path) -> None:
    """Then come the entries that are kept here; what is between is counted, and can be loaded too."""
    async with an_hour(socket) as (app, pilot, stream, daemon):
        await typed(pilot, "-40m")
        await until(lambda: at(stream, 600), pilot)
        await typed(pilot, "-20m")
        await until(lambda: at(stream, 1_800), pilot)
        numbers = [line.seq for line in stream.lines if isinstance(line, Event)]
        assert numbers == list(range(1_800, 3_001)), "the page and the ring overlap"
        await typed(pilot, "-40m")
        await until(lambda: at(stream, 600), pilot)
        for _ in range(60):
            if "401 entries not loaded: T loads them" in text(app):
                break
            await pressed(pilot, "pagedown")
        assert "401 entries not loaded: T loads them" in text(app)
        daemon.happen(events(3_001, 3_002))
        await pressed(pilot, "G")
        await until(lambda: stream.frozen is None and app.state.newest == 3_002)


async def test_a_filter_holds_in_what_is_loaded(socket: Path) -> None:
    """The first entry at or after the time that passes it."""
    async with an_hour(socket) as (_, pilot, stream, _daemon):
        await pressed(pilot, "slash", *"obj:lead", "enter")
        await typed(pilot, "-40m")
        await until(lambda: at(stream, 601), pilot)
        assert {line.object for line in stream.lines if isinstance(line, Event)} == {"Lead"}


async def test_before_the_journal_and_after_its_end(socket: Path) -> None:
    """Before it: its first entry, and where it begins. After it: nothing moves."""
    async with an_hour(socket) as (app, pilot, stream, _):
        await typed(pilot, "9h")
        await until(lambda: at(stream, 1), pilot)
        await until(lambda: any("The journal begins at 11:44 UTC" in note for note in notices(app)))
        await pressed(pilot, "G")
        await typed(pilot, "2026-03-01T12:40")
        await until(lambda: any("Nothing has happened since 12:40:00 UTC" in note for note in notices(app)))
        assert stream.frozen is None


async def test_what_is_no_time_is_said_under_the_line(socket: Path) -> None:
    """The line stays open, and so does the view; escape closes it."""
    async with an_hour(socket) as (app, pilot, stream, _):
        await typed(pilot, "soon")
        await until(lambda: "soon is no time; such as 5m, 12:30" in text(app))
        assert app.screen.query_one("#time", InputLine).has_focus
        await pressed(pilot, "backspace")
        await until(lambda: "is no time" not in text(app))
        await pressed(pilot, "enter")
        await until(lambda: "soo is no time" in text(app))
        await pressed(pilot, "escape")
        await until(lambda: "is no time" not in text(app))
        assert stream.frozen is None


async def test_without_rtsd_it_says_how_far_the_entries_reach(socket: Path) -> None:
    """And which command prints all of them; the oldest is shown."""
    async with an_hour(socket) as (app, pilot, stream, daemon):
        await daemon.stop()
        await until(lambda: not app.state.live, pilot)
        await typed(pilot, "-40m")
        await until(lambda: any("reach back to 12:18 UTC; `rtsd events`" in note for note in notices(app)))
        assert at(stream, 2_001)
