"""A 200 that was sent is never forgotten, whenever the daemon is killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.processes.attackers import push_alone
from tests.support.processes.barrage import OBJECT, Barrage
from tests.support.processes.rig import Rig, standing
from tests.support.processes.sender import Shot
from tests.support.waiting import eventually

FEWEST, MOST = 30, 400
"""Answers between two kills."""


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.slow)])
async def test_answered_pushes_survive_kills(kills: int, measured: Callable[[str], None]) -> None:
    """Every push answered 200 before a kill -9 is in the mirror after the restarts, with its values."""
    rng = random.Random(kills)
    async with standing({OBJECT: 20}) as rig:
        barrage = await Barrage.of(rig)
        first = await rig.start()
        await first.live()
        assert await first.kill() == -signal.SIGKILL
        for _ in range(kills):
            daemon = await rig.start()
            last = len(barrage.acked) + rng.randint(FEWEST, MOST)
            kill = partial(os.kill, daemon.pid, signal.SIGKILL)  # at the very moment a 200 arrives
            await barrage.fire(kill, when=lambda last=last: len(barrage.acked) >= last)
            assert await daemon.kill() == -signal.SIGKILL
        daemon = await rig.start()
        await daemon.settled()
        (check,) = rig.read("PRAGMA integrity_check")
        assert check[0] == "ok"
        lost = barrage.lost()
        assert lost == set()
        assert barrage.applied_twice() == 0
        measured(f"{kills} kills, {len(barrage.acked)} pushes answered 200, {len(lost)} lost")


async def test_stopped_under_load() -> None:
    """Charter 27: SIGTERM amid pushes ends with status 0 within 5 s; what was committed was answered."""
    async with standing({OBJECT: 20}) as rig:
        barrage = await Barrage.of(rig)
        daemon = await rig.start()
        await daemon.live()
        began: list[float] = []

        def stop() -> None:
            os.kill(daemon.pid, signal.SIGTERM)
            began.append(time.monotonic())

        await barrage.fire(stop, when=lambda: len(barrage.acked) >= FEWEST)
        assert await daemon.process.wait() == 0
        assert time.monotonic() - began[0] < 5
        assert set(barrage.answers) <= {200, 503}
        kept = rig.taken()
        assert barrage.acked <= kept
        assert kept == barrage.acked, "committed, and not answered so"
        again = await rig.start()
        await again.settled()
        assert barrage.lost() == set()


async def test_a_frozen_daemon_forgets_nothing() -> None:
    """Charter 24: stopped for two seconds, as by a paused machine, it goes on as if nothing had been."""
    async with standing({OBJECT: 20}, silence_after="1m") as rig:
        barrage = await Barrage.of(rig)
        daemon = await rig.start()
        await daemon.live()

        def freeze() -> None:
            os.kill(daemon.pid, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(2, os.kill, daemon.pid, signal.SIGCONT)

        await barrage.fire(freeze, when=lambda: len(barrage.acked) >= FEWEST, count=300)
        assert barrage.answers == {200: 300}
        await daemon.settled()
        assert barrage.lost() == set()
        assert (await daemon.status()).mode == "real_time"


async def test_a_retry_after_a_restart_has_no_second_effect() -> None:
    """Charter 13: the id of a push is known across kill -9, and answered as seen before."""
    async with standing({OBJECT: 20}) as rig:
        barrage = await Barrage.of(rig)
        shot = next(barrage.shots)
        first = await rig.start()
        await first.live()
        assert (await push_alone(rig.port, shot))[0] == 200
        await first.settled()
        before = [tuple(row) for row in rig.read("SELECT * FROM _rts_journal WHERE type = 'change'")]
        await first.kill()
        began = time.monotonic()
        again = await rig.launch()
        await eventually(lambda: _taken(rig, shot), "the retry is answered 200")
        assert time.monotonic() - began < 10, "start to first answer"
        await again.ready()
        await again.settled()
        assert [tuple(row) for row in rig.read("SELECT * FROM _rts_journal WHERE type = 'change'")] == before


async def _taken(rig: Rig, shot: Shot) -> bool:
    try:
        return (await push_alone(rig.port, shot))[0] == 200
    except ConnectionError:
        return False
