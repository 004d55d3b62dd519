"""Keys pressed, and what came of them: on the screen, in the state and at the daemon."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import Input

from rtsd.control.protocol import Event, Node
from rtstui.app import RtsTui
from rtstui.screens.dialogs import Confirm
from rtstui.widgets.chrome import VIEWS, Tabs
from rtstui.widgets.errors import DeadLetters
from rtstui.widgets.objects import Objects
from rtstui.widgets.panel import Panel
from rtstui.widgets.stream import Stream
from tests.support.dashboard.app import (
    Clock,
    answered,
    filled,
    rows_in_focus,
    running,
    still_app,
    text,
    until,
)
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import event, events, healthy, live, silent
from tests.support.dashboard.watching import pressed, watching


async def test_the_overview_answers_without_a_key(socket: Path) -> None:
    """Right, fresh, cost, the objects, the newest events, the quota, the errors."""
    async with watching(socket, size=(80, 24)) as (app, _, _daemon):
        await until(lambda: all(late in text(app) for late in ("Opportunity", "UNABLE_TO")))
        screen = text(app)
    for fact in (
        "rtsd ● connected",
        "Acme",
        "real time",
        "6 of 6 proven",
        "400ms now · 640ms (p95), goal 60s",
        "61% used: 412 ours, 60,988 others",
        "1,204,118",
        "UNABLE_TO",
    ):
        assert fact in screen, fact
    assert screen.count(" PUSH ") >= 4


async def test_every_view_opens_and_escape_leads_back(socket: Path) -> None:
    """The numbers open the views; escape is one step back and never quits."""
    async with watching(socket) as (app, pilot, _):
        for key in list(VIEWS)[1:]:
            await pressed(pilot, key)
            await until(lambda key=key: app.current_mode == key, pilot)
            await pressed(pilot, "escape")
            await until(lambda: app.current_mode == "1", pilot)
        await pressed(pilot, "escape")
        assert app.is_running


async def test_events_arrive_and_freeze_holds_the_view(socket: Path) -> None:
    """Frozen rows stay as they are while new ones are counted; going on shows the newest."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "2", "space")
        await until(lambda: "FROZEN" in text(app))
        before = rows_in_focus(app)
        daemon.happen(events(401, 460))
        await until(lambda: app.state.newest == 460, pilot)
        await until(lambda: "60 new" in text(app))
        assert rows_in_focus(app) == before
        await pressed(pilot, "space")
        await until(lambda: str(event(460).id) in text(app))


async def test_scrolling_up_freezes_and_end_goes_on(socket: Path) -> None:
    """What one reads does not slide away."""
    async with watching(socket) as (app, pilot, _):
        stream = app.screen.query_one(Stream)
        await pressed(pilot, "up", "up")
        await until(lambda: stream.frozen is not None, pilot)
        assert stream.chosen == event(398, 0.05)
        await pressed(pilot, "G")
        await until(lambda: stream.frozen is None, pilot)


async def test_next_error_jumps_to_it(socket: Path) -> None:
    """[ and ] step through what went wrong."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2", "left_square_bracket")
        stream = app.screen.query_one(Stream)
        await until(lambda: stream.chosen is not None and stream.chosen.seq == 376, pilot)
        assert stream.chosen is not None
        assert stream.chosen.type == "error"
        await pressed(pilot, "left_square_bracket")
        await until(lambda: stream.chosen is not None and stream.chosen.seq == 335, pilot)


async def test_a_filter_acts_while_typing_and_on_what_comes(socket: Path) -> None:
    """A good filter filters old and new; a bad one says why and leaves the last good one."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "slash", *"obj:lead")
        stream = app.screen.query_one(Stream)
        assert app.current_mode == "2"
        await until(
            lambda: {line.object for line in stream.lines if isinstance(line, Event)} == {"Lead"}, pilot
        )
        daemon.happen(events(401, 412))
        await until(
            lambda: [line.seq for line in list(stream.lines)[-1:] if isinstance(line, Event)] == [409]
        )
        await pressed(pilot, *" /(/")
        await until(lambda: "missing )" in text(app), pilot)
        assert stream.filter.text == "obj:lead"
        await pressed(pilot, "escape")
        await until(lambda: len(stream.lines) == len(app.state.ring), pilot)


async def test_enter_on_an_object_shows_its_events(socket: Path) -> None:
    """From the table to the entries in one key."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "3", "down", "enter")
        await until(lambda: app.current_mode == "2" and app.screen.query_one(Stream).filter, pilot)
        assert app.screen.query_one("#filter", Input).value == "obj:Contact"


async def test_an_event_opens_in_full(socket: Path) -> None:
    """D shows every field of the entry; escape closes it, then goes on live."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2", "up", "d")
        await until(lambda: "Event 399" in text(app))
        await pressed(pilot, "escape")
        await until(lambda: "Event 399" not in text(app), pilot)
        await pressed(pilot, "escape")
        await until(lambda: app.screen.query_one(Stream).frozen is None, pilot)


async def test_a_flood_is_thinned_and_counted(socket: Path) -> None:
    """10,000 entries a second: the newest are shown, the others counted, keys answer."""
    async with watching(socket) as (app, pilot, daemon):
        seq = 400
        for _ in range(10):
            daemon.happen(events(seq + 1, seq + 1_000), shown=200)
            seq += 1_000
        await until(lambda: app.state.newest == seq, pilot)
        assert app.state.unshown == 8_000
        await until(lambda: "8.0k not shown" in text(app))
        assert str(event(seq).id) in text(app)
        await pressed(pilot, "3")
        await until(lambda: app.current_mode == "3", pilot)


async def test_a_lost_daemon_dates_what_is_shown_and_turns_acts_off(socket: Path) -> None:
    """Old data stays, is called old, and nothing can be done with it; the return needs no key."""
    clock = Clock()
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with daemon, running(socket, clock=clock) as (app, pilot):
        await until(lambda: app.state.live and daemon.following, pilot)
        await pressed(pilot, "3")
        await daemon.stop()
        await until(lambda: not app.state.live, pilot)
        clock.pass_(27)
        await until(lambda: "LOST 27s" in text(app))
        screen = text(app)
        assert "as of 12:34:56" in screen
        assert "— ev/s" in screen
        await pressed(pilot, "A", "P")
        assert not isinstance(app.screen, Confirm)
        await daemon.start()
        await until(lambda: app.state.live, seconds=8)
        await until(lambda: "● connected" in text(app))


async def test_no_daemon_is_a_page_not_a_blank(socket: Path) -> None:
    """What was tried, how to start it, when the next attempt is; r tries at once."""
    async with running(socket, size=(80, 24)) as (app, pilot):
        await until(lambda: "NO DAEMON" in text(app))
        screen = text(app)
        assert "rtsd run" in screen
        assert "does not exist" in screen
        assert "Next try" in screen
        async with FakeDaemon(socket, live(), events(1, 400)):
            await pressed(pilot, "r")
            await until(lambda: "● connected" in text(app))


async def test_ages_zoom_and_sort(socket: Path) -> None:
    """T shows ages for times, z gives a panel the whole view and back, s sorts and the cursor stays."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2", "t")
        await until(lambda: "12:34:5" not in "".join(text(app).splitlines()[4:-2]))
        await pressed(pilot, "1", "z")
        await until(lambda: "Opportunity" in text(app) and "Quota, 24 h" not in text(app), pilot)
        await pressed(pilot, "z")
        await until(lambda: "Quota, 24 h" in text(app), pilot)
        await pressed(pilot, "3", "down", "s", "s")
        table = app.screen.query_one(Objects)
        await until(lambda: list(table.keys())[:2] == ["Task", "Contact"], pilot)
        assert table.cursor == "Contact"
        await pressed(pilot, "E")
        await until(lambda: app.current_mode == "6" and "push when one of these" in text(app), pilot)


async def test_masked_errors_tell_nothing_of_records(socket: Path) -> None:
    """What went wrong is told with values in it: they are hidden with the others."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "4")
        await until(lambda: "unable to obtain" in text(app), pilot)
        await pressed(pilot, "m")
        await until(lambda: "unable to obtain" not in text(app) and "UNABLE_TO_LOCK_ROW" in text(app))
        await pressed(pilot, "1")
        await until(lambda: "fingerprint" in text(app) or "PUSH" in text(app), pilot)
        assert "unable to obtain" not in text(app)


async def test_resizing_keeps_focus_and_filter(socket: Path) -> None:
    """From tiny to huge and back, several times, without a failure."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2", "slash", *"lead", "enter")
        for _ in range(2):
            for size in ((40, 10), (80, 24), (200, 50), (120, 35)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
        assert app.screen.query_one(Stream).filter.text == "lead"
        assert isinstance(app.focused, Stream)
        assert "failed" not in text(app)


async def test_every_view_stands_at_every_size() -> None:
    """From 40x10 to 250x70 nothing fails, and the first line says where one is, or the first answer."""
    app = still_app(answered(filled(live())))
    async with app.run_test(size=(80, 24)) as pilot:
        for key in VIEWS:
            await pressed(pilot, key)
            for size in ((40, 10), (60, 16), (250, 70)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
                first = "right" if (key, size) == ("1", (40, 10)) else "connected"
                await until(lambda first=first: first in text(app).splitlines()[0], pilot)
                assert "failed" not in text(app), (key, size)


async def test_a_node_says_who_leads_where_there_is_room() -> None:
    """A narrow screen keeps the rate and the age of the last push instead."""
    status = live()
    status.node = Node(name="db-2.example", leader=False, leader_name="db-1.example", epoch=7, since="")
    app = still_app(filled(status))
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: "db-2.example stands by, db-1.example leads" in text(app).splitlines()[0], pilot)
        await pilot.resize_terminal(80, 24)
        await until(lambda: "ev/s" in text(app).splitlines()[0], pilot)
        assert "stands by" not in text(app).splitlines()[0]


def left_open(app: RtsTui) -> tuple[int, int, int]:
    """Widgets, tasks and file descriptors there are."""
    return len(app.screen.query("*")), len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))


def reconnected(app: RtsTui, daemon: FakeDaemon) -> bool:
    """Ask for another try, and say whether it has come about."""
    app.action_reconnect()
    return bool(app.state.live and daemon.following)


async def test_coming_and_going_leaves_nothing_behind(socket: Path) -> None:
    """After many losses and many dialogs there are no more widgets, tasks or open files than before."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with daemon, running(socket) as (app, pilot):
        await until(lambda: app.state.live and daemon.following, pilot)
        await pressed(pilot, *"567890", "escape", *"31")
        before = left_open(app)
        for _ in range(4):
            await daemon.stop()
            await until(lambda: not app.state.live)
            await daemon.start()
            await until(partial(reconnected, app, daemon), pilot)
            await pressed(pilot, "question_mark", "escape", "3", "P", "escape", "1")
        await until(lambda: all(now <= was + 1 for now, was in zip(left_open(app), before, strict=True)))


@pytest.mark.parametrize("size", [(120, 35), (80, 24), (40, 10)])
async def test_a_click_on_a_tab_opens_its_view(size: tuple[int, int]) -> None:
    """In whatever form the tabs are: with names, short ones, or digits alone."""
    app = still_app(answered(filled(live())), view="3")
    async with app.run_test(size=size) as pilot:
        for key in "570":
            line = text(app).splitlines()[1]
            await pilot.click(Tabs, offset=(line.rindex(key), 0))
            await until(lambda key=key: app.current_mode == key, pilot)


async def test_the_cursor_follows_its_object_when_rows_move() -> None:
    """Sorting under the cursor does not change what a key acts on."""
    told = filled(live())
    app = still_app(told, view="3")
    async with app.run_test(size=(120, 35)) as pilot:
        await pressed(pilot, "down", "down")
        table = app.screen.query_one(Objects)
        await until(lambda: table.cursor == "Lead", pilot)
        assert told.status is not None
        told.status.objects.sort(key=lambda item: item.rows)
        told.rev += 1
        await until(lambda: rows_in_focus(app)[4].startswith("┃ Lead "))
        assert table.cursor == "Lead"
        told.status.objects = [item for item in told.status.objects if item.name != "Lead"]
        told.rev += 1
        await until(lambda: table.cursor == "Contact")


async def test_markup_and_control_characters_are_shown_as_they_are() -> None:
    """Names that are markup, or steer terminals, in every place a name is shown."""
    status = live()
    names = ["[/]", "[/x]", "x[/]y", "[Contact]", "[@click=app.quit]x[/]", "\x1b[2J\x07"]
    for item, name in zip(status.objects, names, strict=True):
        item.name = name
        item.error = f"broken {name}"
    status.org.name = "[b]Acme[/b]"
    journal = [event(number) for number in range(1, 41)]
    for entry in journal:
        entry.object = names[entry.seq % 6]
        entry.message = names[entry.seq % 5]
    app = still_app(filled(status, journal), view="1")
    async with app.run_test(size=(200, 50)) as pilot:
        for key in "12345":
            await pressed(pilot, key)
            await until(lambda: "[b]Acme[/b]" in text(app))
            assert "failed" not in text(app)
            if key in "13":
                for name in names[:-1]:
                    assert name in text(app), (key, name)
        await pressed(pilot, "3", "P")
        await until(lambda: "Pause [/]?" in text(app))


async def test_a_panel_that_fails_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on; the failed one says what happened."""

    def broken(*_: object) -> list[object]:
        raise KeyError("ms")

    monkeypatch.setattr(DeadLetters, "row", broken)
    app = still_app(filled(live()), view="4")
    async with app.run_test(size=(120, 35)):
        await until(lambda: "This panel failed: KeyError('ms')" in text(app))
        assert "UNABLE_TO_LOCK_ROW" in text(app)
        assert app.is_running


async def test_two_orgs_are_watched_and_switched(socket: Path) -> None:
    """ctrl+o looks at the next daemon; each keeps its own state."""
    acme, globex = filled(live()), filled(silent())
    assert globex.status is not None
    globex.status.org.name, globex.status.store.id = "Globex", "1"
    app = still_app(acme)
    app.links.append(still_app(globex).links[0])
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: "Acme" in text(app))
        await pressed(pilot, "ctrl+o", "down", "enter")
        await until(lambda: "2 of 2" in text(app) and "Globex" in text(app) and "▲ interval" in text(app))
        await pressed(pilot, "ctrl+o", "up", "enter")
        await until(lambda: "1 of 2" in text(app) and "Acme" in text(app))


async def test_nothing_is_painted_at_rest() -> None:
    """Ticks without news compute nothing and repaint nothing."""
    app = still_app(filled(healthy()))
    async with app.run_test(size=(120, 35)) as pilot:
        await pilot.pause(0.2)
        calls: list[object] = []
        for panel in app.screen.query(Panel):
            panel.tick = lambda: calls.append(1)  # type: ignore[method-assign]
        await pilot.pause(0.5)
        assert calls == []


async def test_a_long_word_to_the_operator_is_not_clipped() -> None:
    """On the smallest full screen, two messages at once, markup in them: all of it can be read."""
    app = still_app(filled(live()))
    async with app.run_test(size=(80, 24), notifications=True):
        app.say("Contact paused. P on it resumes. [/x]")
        app.say("rtsd refused: the quota's reserve is reached; it waits until 00:00 [Contact]", error=True)
        await until(lambda: "[/x]" in text(app) and "00:00 [Contact]" in text(app))
        assert "0-9 views" in text(app)
