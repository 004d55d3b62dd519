"""Several daemons on one PostgreSQL database: one leads, another takes over, and none writes after it."""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp
import psycopg
import pytest

from rtsd.control import protocol
from tests.support import postgres
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

pytestmark = postgres.NEEDED
TAKE_OVER_S = 15.0
"""Contract section 9."""
AFTER_STOP_S = 5.0
RATE = 20


async def test_a_node_takes_over(url: str, measured: Callable[[str], None]) -> None:
    """After a kill, a freeze and a stop amid pushes: in time, each in a new epoch, and nothing is lost."""
    times = {}
    async with standing({"Contact": 300, "Lead": 100}, interval="2s") as rig:
        await rig.install_package()
        nodes = Nodes(rig, url)
        first = await (await nodes.launch("a")).ready()
        await first.live()
        await nodes.leads("a", 1.0)
        await nodes.launch("b")
        await rig.org.control("activity", {"rate": RATE, "objects": list(rig.objects), "seed": 4})
        await eventually(lambda: _standing_by(nodes, "a"), "b stands by")

        began = time.monotonic()
        await nodes.running["a"].kill()
        assert _epoch(await nodes.leads("b", TAKE_OVER_S)) == 2
        times["kill"] = time.monotonic() - began
        await nodes.launch("a")
        await eventually(lambda: _standing_by(nodes, "b"), "a stands by")

        began = time.monotonic()
        nodes.freeze("b")
        assert _epoch(await nodes.leads("a", TAKE_OVER_S)) == 3
        times["freeze"] = time.monotonic() - began
        assert await nodes.thaw("b") == 75
        await nodes.launch("b")
        await eventually(lambda: _standing_by(nodes, "a"), "b stands by")

        began = time.monotonic()
        assert await nodes.running["a"].terminate() == 0
        assert _epoch(await nodes.leads("b", AFTER_STOP_S)) == 4
        times["stop"] = time.monotonic() - began
        await rig.org.control("activity", method="DELETE")
        await rig.org.control("package/drain")
        await nodes.running["b"].settled()
        await eventually(lambda: _equal(nodes), "mirror and org are equal", 60)
        measured(", ".join(f"take-over after a {what}: {s:.1f} s" for what, s in times.items()))


async def test_a_database_that_crashes(url: str, measured: Callable[[str], None]) -> None:
    """Contract 9: 503 within 1 s, 200 within 5 s of the return, both daemons stay, and nothing is lost."""
    async with standing({"Contact": 300}, interval="2s") as rig, aiohttp.ClientSession() as http:
        await rig.install_package()
        nodes = Nodes(rig, url)
        daemon = await (await nodes.launch("a")).ready()
        await daemon.live()
        await nodes.leads("a", 1.0)
        other = await nodes.launch("b")
        await eventually(lambda: _standing_by(nodes, "a"), "b stands by")
        await rig.org.control("activity", {"rate": RATE, "objects": ["Contact"], "seed": 4})

        async def readiness() -> int:
            async with http.get(f"http://127.0.0.1:{nodes.ports['a']}/readyz") as answer:
                return answer.status

        async def until(status: int, within: float) -> float:
            began = time.monotonic()
            await eventually(lambda: _is(readiness(), status), f"{status}", within)
            return time.monotonic() - began

        await until(200, 5.0)
        with postgres.crashed(url):
            away = await until(503, 1.0)
            async with http.get(f"http://127.0.0.1:{nodes.ports['a']}/livez") as answer:
                assert answer.status == 200
        back = await until(200, 5.0)
        await eventually(lambda: _standing_by(nodes, "a"), "b still stands by")
        assert other.is_running
        await rig.org.control("activity", method="DELETE")
        await rig.org.control("package/drain")
        await daemon.settled()
        await eventually(lambda: _equal(nodes), "mirror and org are equal", 60)
        answers = (await rig.org.stats())["pushes"]["answers"]
        assert set(answers) == {"200", "503"}
        measured(f"database crashed: 503 after {away:.2f} s, 200 after {back:.2f} s, answers {answers}")


async def test_a_database_that_is_away_is_no_hang(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd hears meanwhile that the leader and a node that stands by are well, and restarts neither."""
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    async with standing({"Contact": 5}) as rig:
        nodes, supervisors = Nodes(rig, url), dict[str, socket.socket]()
        for name in ("a", "b"):
            address = str(rig.place / f"notify-{name}")
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            supervisors[name] = supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            supervisor.bind(address)
            supervisor.setblocking(False)
            await (await nodes.launch(name)).ready()
        with postgres.crashed(url):
            for name, supervisor in supervisors.items():
                await eventually(lambda name=name: _is(nodes.readiness(name), 503), f"{name} is not ready", 5)
                _pings(supervisor)
                for _ in range(3):
                    await eventually(lambda heard=supervisor: _pings(heard), f"{name} is well", 5)
                supervisor.close()


async def test_a_name_that_is_alive_is_refused(url: str) -> None:
    """Two nodes with one name could not be told apart."""
    async with standing({"Contact": 5}) as rig:
        nodes = Nodes(rig, url)
        await (await nodes.launch("a")).ready()
        twin = await nodes.launch("a", at="elsewhere")
        assert await twin.process.wait() == 75
        assert "a node named a is running already" in rig.log.read_text()


async def test_a_leader_without_its_lease_writes_nothing(url: str) -> None:
    """Once another epoch began, every transaction of the former leader is refused."""
    async with standing({"Contact": 5}) as rig:
        nodes = Nodes(rig, url)
        daemon = await (await nodes.launch("a")).ready()
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE rts._rts_lease SET epoch = epoch + 1")
        assert await daemon.process.wait() == 75


def _epoch(status: protocol.Status) -> int | None:
    return status.node.epoch if status.node is not None else None


async def _standing_by(nodes: Nodes, leader: str) -> bool:
    """Whether the leader knows of two nodes."""
    return len(await nodes.running[leader].client.nodes()) == 2


def _pings(supervisor: socket.socket) -> int:
    """How often a node has said that it is well since the last look."""
    number = 0
    with suppress(BlockingIOError):
        while said := supervisor.recv(4_096):
            number += said.count(b"WATCHDOG=1")
    return number


async def _is(asked: Awaitable[int], wanted: int) -> bool:
    return await asked == wanted


async def _equal(nodes: Nodes) -> bool:
    return not await nodes.differences()
