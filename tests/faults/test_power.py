"""Power loss: what was answered 200 is there when the machine comes up again."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.faults.disks import loop_disk
from tests.support.processes.barrage import OBJECT, Barrage
from tests.support.processes.rig import standing

CUTS = 20
FEWEST, MOST = 300, 900
"""Answers between two cuts."""


async def test_answered_pushes_survive_power_cuts(tmp_path: Path) -> None:
    """All that was not synced is lost at the moment a 200 arrives, and no answered push is among it."""
    rng = random.Random(CUTS)
    with loop_disk(tmp_path) as disk:
        async with standing({OBJECT: 20}, state=disk.place / "state") as rig:
            barrage = await Barrage.of(rig)
            first = await rig.start()
            await first.live()
            assert await first.terminate() == 0
            for _ in range(CUTS):
                daemon = await rig.start()
                last = len(barrage.acked) + rng.randint(FEWEST, MOST)
                await barrage.fire(disk.cut, when=lambda last=last: len(barrage.acked) >= last, count=3_000)
                assert len(barrage.acked) >= last
                await daemon.kill()
                disk.restore()
            daemon = await rig.start()
            await daemon.settled()
            (check,) = rig.read("PRAGMA integrity_check")
            assert check[0] == "ok"
            assert barrage.lost() == set()
            assert barrage.applied_twice() == 0
            await daemon.terminate()
