"""A 200 that was sent is never forgotten, whenever the daemon is killed."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from functools import partial

import pytest
from barrage import OBJECT, Barrage
from rig import standing

FEWEST, MOST = 30, 400
"""Answers between two kills."""


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.slow)])
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
        measured(f"{kills} kills, {len(barrage.acked)} pushes answered 200, {len(lost)} lost")
