"""The channels `stream` and `cdc` with a real daemon: no event is forgotten, whenever it is killed."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from rtsd.workflows.demo.compare import compare
from tests.support.processes.daemon import Daemon
from tests.support.processes.streaming import has_caught_up, has_position, streaming
from tests.support.waiting import eventually

FEWEST, MOST = 1, 60
"""Pushes between two kills."""
BACKLOG_S = 300.0
"""The org goes on while a daemon starts: what fifty starts have missed takes a busy machine minutes."""


async def received(daemon: Daemon) -> int:
    """Pushes in the inbox, in this run and earlier ones."""
    return (await daemon.status()).push.received_24h


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
async def test_events_survive_kills(kills: int, measured: Callable[[str], None]) -> None:
    """Every push that was published is in the inbox once, after kill -9 at any point; the mirror is equal."""
    rng = random.Random(kills)
    async with streaming() as rig:
        daemon = await rig.start()
        await daemon.live()
        await eventually(lambda: has_position(daemon), "a position")
        await rig.org.control("activity", {"rate": 30, "objects": ["Contact"]})
        for _ in range(kills):
            goal = await received(daemon) + rng.randint(FEWEST, MOST)

            async def reached(daemon: Daemon = daemon, goal: int = goal) -> bool:
                return await received(daemon) >= goal

            await eventually(reached, f"{goal} pushes", 60)
            assert await daemon.kill() == -signal.SIGKILL
            daemon = await rig.start()
        await rig.org.control("activity", method="DELETE")
        await rig.org.control("package/drain")
        published = int((await rig.org.stats())["pushes"]["pushes"])

        async def is_complete() -> bool:
            return await received(daemon) == published

        await eventually(is_complete, f"all {published} pushes", BACKLOG_S)
        await daemon.settled()
        await rig.ends_equal()
        measured(f"{kills} kills, {published} pushes published, all in the inbox once")


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, 50])
async def test_change_events_survive_kills(kills: int, measured: Callable[[str], None]) -> None:
    """After kill -9 at any point, rows that were partial are completed, and nothing is read but by id."""
    rng = random.Random(kills)
    async with streaming("cdc") as rig:
        daemon = await rig.start()
        await daemon.live()
        await eventually(lambda: has_position(daemon), "a position")
        await rig.org.control("activity", {"rate": 30, "objects": ["Contact"]})
        for _ in range(kills):
            goal = await received(daemon) + rng.randint(FEWEST, MOST)

            async def reached(daemon: Daemon = daemon, goal: int = goal) -> bool:
                return await received(daemon) >= goal

            await eventually(reached, f"{goal} events", 60)
            assert await daemon.kill() == -signal.SIGKILL
            daemon = await rig.start()
        await rig.org.control("activity", method="DELETE")

        await eventually(lambda: has_caught_up(daemon), "all events are taken", BACKLOG_S)

        async def is_equal() -> bool:
            found = await compare("Contact", rig.org.rows("Contact"), rig.mirror)
            return found.equal

        await eventually(is_equal, "mirror and org are equal", 60)
        measured(f"{kills} kills, {await received(daemon)} change events, equal")
