"""The channel `stream` with a real daemon: no event is forgotten, whenever the daemon is killed."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import TOKEN, Rig, standing
from tests.support.waiting import eventually

FEWEST, MOST = 1, 60
"""Pushes between two kills."""


@asynccontextmanager
async def streaming() -> AsyncIterator[Rig]:
    """An org whose package publishes, and a daemon without a port that neither polls nor audits meanwhile."""
    async with standing(
        {"Contact": 30}, options=("--pubsub",), interval="1h", silence_after="1h", fingerprint_every="0s"
    ) as rig:
        config = rig.write_config(listen="")
        push = f'[push]\nchannel = "stream"\nendpoint = "{rig.org.info["pubsub"]}"\n'
        config.write_text(push + config.read_text())
        await rig.org.control("switches", {"keepalive_s": 0.5})
        settings = {"channel": "stream", "objects": ["Contact"], "settings": {"Token__c": TOKEN}}
        await rig.org.control("package/install", settings)
        yield rig


async def received(daemon: Daemon) -> int:
    """Pushes in the inbox, in this run and earlier ones."""
    return (await daemon.status()).push.received_24h


async def has_position(daemon: Daemon) -> bool:
    """Whether the stream has stored a position, if only that of a keepalive."""
    stream = (await daemon.status()).push.stream
    return stream is not None and stream.replay_age_s is not None


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

        await eventually(is_complete, f"all {published} pushes")
        await daemon.settled()
        await rig.ends_equal()
        measured(f"{kills} kills, {published} pushes published, all in the inbox once")
