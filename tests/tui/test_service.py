"""View S: the channel, the store, the nodes, the streams; and several sockets of one cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Status, Store
from rtstui.app import RtsTui
from rtstui.clusters import clusters, mate_of, node_of, place_among
from rtstui.daemon_link import DaemonLink
from rtstui.rows import plain
from rtstui.screens.dialogs import Reader
from rtstui.screens.orgs import Orgs, OrgTable
from rtstui.state import Phase, State
from tests.support.dashboard.app import Clock, answered, filled, notices, still_app, text, until
from tests.support.dashboard.cluster import clustered
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import ago, captured, events, live
from tests.support.dashboard.watching import pressed


async def test_the_service_is_on_one_screen() -> None:
    """Which channel, who leads, what each node refused, the engine with its size, the lag of the streams."""
    app = still_app(answered(filled(clustered())))
    async with app.run_test(size=(120, 35)) as pilot:
        await pressed(pilot, "S")
        await until(lambda: "Store: PostgreSQL" in text(app), pilot)
        lines = text(app).splitlines()
    assert [line for line in lines if "▶ a " in line and " leads " in line]
    assert [line for line in lines if "signature does not match, 10m ago" in line and " 30 " in line]
    assert [line for line in lines if "▲ stands by, with other objects and rules" in line]
    screen = "\n".join(lines)
    for words in (
        "Pushes by the gateway",
        "3.2 GiB · 2,076,371 rows mirrored",
        "postgresql://rtsd@db.acme.com/crm",
        "● reachable and writable",
        "3 nodes · a leads (epoch 7), this one",
        "2 streams · up to 6m behind",
        "▲ nats: no responders",
    ):
        assert words in screen, words


async def test_a_stream_channel_has_its_position_and_deliveries_there() -> None:
    """And one process with a file says that it is alone."""
    app = still_app(answered(filled(captured())), view="S")
    async with app.run_test(size=(100, 30)):
        await until(lambda: "last event 1s ago  position 1s old" in text(app))
        assert "deliveries in 24 h: 12,400 to rtsd, 12,410 of 25,000 to all" in text(app)
        assert "The mirror is in SQLite, and this process alone has it." in text(app)
        assert "None: [[streams]] of rtsd's configuration names them." in text(app)


async def test_a_store_that_is_away_is_said() -> None:
    """With since when and why; nothing is called reachable."""
    status = clustered()
    status.store = Store(
        reachable=False, away_since=ago(120), error="connection refused", engine="postgresql"
    )
    status.nodes = []
    app = still_app(answered(filled(status)), view="S")
    async with app.run_test(size=(100, 30)):
        await until(lambda: "✖ away since 12:32 UTC: connection refused" in text(app))
        assert "Which nodes there are is not known now." in text(app)
        assert "reachable" not in text(app)


async def test_enter_shows_a_long_reason_in_full() -> None:
    """Where a row is cut."""
    app = still_app(answered(filled(clustered())), view="S")
    async with app.run_test(size=(80, 24)) as pilot:
        await pressed(pilot, "down", "enter")
        await until(lambda: isinstance(app.screen, Reader), pilot)
        assert "signature does not match, 10m ago" in text(app)


@pytest.mark.parametrize(("size", "seen"), [((120, 30), True), ((80, 24), False)])
async def test_its_tab_gives_way_to_the_names_of_the_others(size: tuple[int, int], seen: bool) -> None:  # noqa: FBT001
    """Where there is room it is there; the key works anywhere, and the open view is always named."""
    status = live()
    app = still_app(answered(filled(status)))
    async with app.run_test(size=size) as pilot:
        await until(lambda: " Quota" in text(app), pilot)
        status.errors_24h = status.dead_letters = 0 if seen else 99_999
        app.state.rev += 1
        await until(lambda: ("S S" in text(app).splitlines()[1]) is seen, pilot)
        assert "0 SQL" in text(app).splitlines()[1]
        await pressed(pilot, "S")
        await until(lambda: "S S" in text(app).splitlines()[1])


# -- clusters ------------------------------------------------------------------------------------


def told(name: str, status: Status | None = None) -> State:
    """A live daemon of the cluster, on its own socket."""
    state = filled(status or clustered(name))
    state.socket = f"/run/{name}.sock"
    return state


def test_sockets_of_one_mirror_are_one_org() -> None:
    """By what status says of the mirror; another org, and a socket that never answered, stand alone."""
    first, second, other, silent = told("a"), told("b"), told("x", live()), State(now=Clock(), socket="/s")
    assert [
        [node_of(state) for state in cluster] for cluster in clusters([first, other, second, silent])
    ] == [
        ["a", "b"],
        ["/run/x.sock"],
        ["/s"],
    ]
    assert mate_of([first, second, other], second) is first
    assert mate_of([first, other], other) is None
    second.relink(Phase.LOST)
    assert mate_of([first, second], first) is None
    said = place_among([first, second, other], other)
    assert said[0] == ("2 of 2 orgs", "dim")
    assert place_among([first, second, other], first)[-1] == ("1 of 2 nodes", "warn")
    assert place_among([first], first) == []


async def test_the_list_of_orgs_has_a_cluster_with_its_nodes() -> None:
    """One line for the org, one for each node below it; another org has its own."""
    app = still_app(told("a"))
    for state in (told("b"), told("x", live())):
        app.links.append(still_app(state).links[0])
    app.links[1].state.relink(Phase.LOST, "rtsd ended the connection.")
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: "1 of 2 orgs" in text(app) and "1 of 2 nodes" in text(app), pilot)
        await pressed(pilot, "ctrl+o")
        await until(lambda: isinstance(app.screen, Orgs), pilot)
        screen = text(app)
        assert "Show one of 2 orgs · 3 daemons" in screen
        table = app.screen.query_one(OrgTable)
        rows = [plain(table.row(key, 100)).split() for key in table.shown()]
        assert [row[0] for row in rows] == ["✔", "a", "b", "▲"]
        assert "▲ 1 of 2 nodes" in screen
        assert "leads · /run/a.sock" in screen
        await pressed(pilot, "end", "enter")
        await until(lambda: app.state.socket == "/run/x.sock", pilot)


@asynccontextmanager
async def cluster(place: Path) -> AsyncIterator[tuple[RtsTui, Pilot[int], list[FakeDaemon]]]:
    """The dashboard over two nodes of one cluster, both live."""
    async with AsyncExitStack() as stack:
        daemons = [
            FakeDaemon(place.with_name(f"{place.name}{name}"), clustered(name), events(1, 40))
            for name in "ab"
        ]
        for daemon in daemons:
            await stack.enter_async_context(daemon)
        links = [
            DaemonLink(ControlClient(daemon.socket), State(now=Clock(), socket=str(daemon.socket)))
            for daemon in daemons
        ]
        app = RtsTui(links)
        pilot = await stack.enter_async_context(app.run_test(size=(120, 35)))
        await until(lambda: all(link.state.live for link in links), pilot)
        yield app, pilot, daemons


async def test_another_node_is_shown_when_one_dies(socket: Path) -> None:
    """By itself, and it says so; the one that is back is not taken without being chosen."""
    async with cluster(socket) as (app, pilot, (first, _)):
        await until(lambda: "a leads" in text(app) and "2 of 2 nodes" in text(app), pilot)
        await first.stop()
        await until(lambda: app.state.live and "b stands by" in text(app), pilot)
        assert any("a is lost. This is b, of the same mirror." in note for note in notices(app))
        assert "1 of 2 nodes" in text(app)
        await first.start()
        await until(lambda: "2 of 2 nodes" in text(app), pilot)
        assert "b stands by" in text(app)


async def test_a_dead_node_can_be_looked_at(socket: Path) -> None:
    """Who chooses it sees its last data, and is not taken away from it."""
    async with cluster(socket) as (app, pilot, (_, second)):
        await second.stop()
        await until(lambda: "1 of 2 nodes" in text(app), pilot)
        await pressed(pilot, "ctrl+o", "end", "enter")
        await until(lambda: "LOST" in text(app), pilot)
        seen = app.state.rev
        await until(lambda: app.links[1].state.link.attempt > 1 and app.state.rev > seen, pilot)
        await asyncio.wait_for(pilot.pause(), 5)
        assert app.state.socket == str(second.socket)
