"""What a change did, in the stream: values and names, asked for by the row, where somebody can read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from rtsd.control.protocol import Event
from rtstui.app import RtsTui
from rtstui.widgets.stream import READ_S, Stream
from tests.support.dashboard.app import Clock, running, text, until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import NOW, ago, healthy
from tests.support.dashboard.watching import pressed

PATH = "/v1/events/values"
LONG = "Lisbon " * 20


def change(seq: int, **more: Any) -> Event:
    """An applied change of an opportunity."""
    fields: dict[str, Any] = {
        "seq": seq,
        "at": ago(500 - seq),
        "type": "change",
        "object": "Opportunity",
        "id": f"006Dn{seq:08d}AaQAI"[:18],
        "op": "update",
        "source": "push",
        "outcome": "applied",
        "changed": ["Amount"],
    }
    return Event(**(fields | more))


def values(seq: int, **changed: Sequence[Any]) -> dict[str, Any]:
    """The values of a change, as rtsd answers."""
    known = {name: dict(zip(("from", "to"), both, strict=False)) for name, both in changed.items()}
    return {"seq": seq, "name": f"Deal {seq}", "by": "005Dn00000Kk1PnIAJ", "changed": known}


def asked(daemon: FakeDaemon) -> list[list[int]]:
    """The entries whose values were asked for, by request."""
    return [
        [int(number) for number in path.partition("seq=")[2].replace("%2C", ",").split(",")]
        for path in daemon.asked
        if path.startswith(PATH)
    ]


async def live(app: RtsTui, pilot: Pilot[int], daemon: FakeDaemon) -> None:
    """Wait for the feed, and open the events."""
    await until(lambda: app.state.live and daemon.following, pilot)
    await pressed(pilot, "2")


async def test_a_change_shows_its_values_and_the_records_name(socket: Path) -> None:
    """From and to, several beside each other, what is not known as such; long ones cut with a sign."""
    daemon = FakeDaemon(socket, healthy(), [change(seq) for seq in range(396, 401)])
    daemon.papers[PATH] = {
        "values": [
            values(397, Amount=(12_000, 15_000)),
            values(398, Amount=(None, 9_000.5), StageName=("Open", "Won")),
            values(399, NextStep=("call",)),
            values(400, Description=(LONG, "short"), Type=("New", None)) | {"more": 3},
        ]
    }
    async with daemon, running(socket, size=(200, 50)) as (app, pilot):
        await live(app, pilot, daemon)
        await until(lambda: "Amount 12,000 → 15,000" in text(app))
        for said in (
            "Deal 397",
            "Amount null → 9000.5 · StageName Open → Won",
            "NextStep call → —",
            f"Description {LONG[:31]}… → short · Type New → null · 3 more fields",
        ):
            assert said in text(app), said
        assert "Amount\n" in "\n".join(line.rstrip(" │┃") for line in text(app).splitlines()), "396 has none"


async def test_values_and_names_are_masked(socket: Path) -> None:
    """In the stream, its detail and what is copied."""
    daemon = FakeDaemon(socket, healthy(), [change(400)])
    daemon.papers[PATH] = {"values": [values(400, Amount=(12_000, 15_000), City=("Lisbon", "Porto"))]}
    async with daemon, running(socket, size=(160, 50)) as (app, pilot):
        await live(app, pilot, daemon)
        await pressed(pilot, "d")
        await until(lambda: text(app).count("City Lisbon → Porto") == 2)
        assert "edited by" in text(app)
        assert text(app).count("Deal 400") == 2
        await pressed(pilot, "m")
        await until(lambda: "City ••••• → •••••" in text(app))
        for value in ("12,000", "15,000", "Lisbon", "Porto", "Deal 400"):
            assert value not in text(app), value
        await pressed(pilot, "y")
        assert "Lisbon" not in app.clipboard
        assert "City ••••• → •••••" in app.clipboard


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (40, 10)])
async def test_where_there_is_no_room_the_fields_are_listed(socket: Path, size: tuple[int, int]) -> None:
    """Nothing is asked while following; frozen, the detail has the values."""
    daemon = FakeDaemon(socket, healthy(), [change(400)])
    daemon.papers[PATH] = {"values": [values(400, Amount=(12_000, 15_000))]}
    async with daemon, running(socket, size=size) as (app, pilot):
        await live(app, pilot, daemon)
        await until(lambda: app.screen.query_one(Stream).rows[-1:], pilot)
        assert not asked(daemon)
        await pressed(pilot, "d")
        await until(lambda: asked(daemon))
        if size[1] >= 16:
            await until(lambda: "Amount 12,000 → 15,000" in text(app))


async def test_only_what_can_be_read_is_asked_for(socket: Path) -> None:
    """In a flood nothing is; once it is frozen, the rows in sight; and each of them once."""
    daemon = FakeDaemon(socket, healthy())
    daemon.status.last_seq = 0
    daemon.papers[PATH] = {"values": []}
    clock = Clock()
    async with daemon, running(socket, size=(160, 50), clock=clock) as (app, pilot):
        await live(app, pilot, daemon)
        daemon.happen([change(seq) for seq in range(1, 4_001)])
        await until(lambda: app.state.newest == 4_000, pilot)
        clock.pass_(1)
        height = app.screen.query_one(Stream).size.height
        await until(lambda: app.state.rate() * READ_S > height)
        daemon.happen([change(seq) for seq in range(4_001, 8_001)])
        await until(lambda: "8,000" in text(app), pilot)
        assert not of_the_flood(daemon)
        await pressed(pilot, "space")
        await until(lambda: of_the_flood(daemon))
        (first,) = of_the_flood(daemon)
        assert first == list(range(8_001 - height, 8_001))
        await pressed(pilot, "up", "down", *["up"] * height)
        await until(lambda: len(of_the_flood(daemon)) > 1)
        numbers = [seq for request in asked(daemon) for seq in request]
        assert len(numbers) == len(set(numbers))


def of_the_flood(daemon: FakeDaemon) -> list[list[int]]:
    """The requests for entries that came while the rate was known to be high."""
    return [request for request in asked(daemon) if request[-1] > 4_000]


async def test_an_older_rtsd_is_asked_once(socket: Path) -> None:
    """It does not know the question; the fields are listed, as before."""
    daemon = FakeDaemon(socket, healthy(), [change(399), change(400, type="change", outcome="stale")])
    async with daemon, running(socket, size=(160, 50)) as (app, pilot):
        await live(app, pilot, daemon)
        await until(lambda: PATH in daemon.unknown and "Amount" in text(app))
        await pressed(pilot, "space")
        daemon.happen([change(seq, at=NOW.isoformat()) for seq in range(401, 404)])
        await until(lambda: "3 new" in text(app), pilot)
        await pressed(pilot, "space", "up")
        await until(lambda: str(change(403).id) in text(app), pilot)
        assert daemon.unknown.count(PATH) == 1
        assert "✖" not in text(app)
