"""Games with change events over real gRPC: edits, creations and deletions, while everything goes wrong.

`RTS_CAPTURE_RUNS=20` plays so many games instead of one; each has another seed, which a failure names.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.support.inprocess.rig import Rig, Start
from tests.support.stream.captured import PUSH, apply, choose
from tests.support.stream.subscription import subscribed
from tests.support.waiting import eventually

RUNS = int(os.environ.get("RTS_CAPTURE_RUNS", "1"))
ROUNDS, STEPS = 3, 14
"""Lives of the daemon, and what happens in each."""
FAULTS = ("event_lost", "event_doubled", "event_gap", "event_late", "rpc_broken")
SWITCHES = {
    "commit_ms": (True, False),
    "same_changes_merge": (True, False),
    "modified_date_listed": (True, False),
    "compound_by_parent_bit": (True, False),
    "formulas_ride_along": (True, False),
    "overflow_changes": (100_000, 25),
}
STEPS_S = (0.0, 0.0, 0.3, 1.0, 5.0)


async def step(rig: Rig, dice: random.Random) -> None:
    """Change something in the org, or let the daemon do something."""
    rig.advance(dice.choice(STEPS_S))
    ids = [row["Id"] async for row in rig.sim.rows("Contact")]
    some = dice.sample(ids, min(dice.randint(1, 4), len(ids)))
    kind = dice.choice(
        ["edit", "edit", "edit", "edit", "create", "delete", "apply", "apply", "fetch", "fault"]
    )
    if kind == "edit":
        values = {name: dice.choice(["a", "b", None]) for name in ("Title", "MailingCity", "Department")}
        rows = [{"Id": record_id, "LastName": dice.choice("xyz"), **values} for record_id in some]
        await rig.dml("update", "Contact", rows=rows)
    elif kind == "create":
        await rig.dml("create", "Contact", rows=[{"LastName": "New"} for _ in some])
    elif kind == "delete" and len(ids) > 6:
        await rig.dml("delete", "Contact", ids=some)
        if dice.random() < 0.5:
            rig.advance(dice.choice(STEPS_S))
            await rig.dml("undelete", "Contact", ids=some)
    elif kind == "apply":
        await apply(rig)
    elif kind == "fetch":
        await rig.parts.readers.repair.step()
    elif kind == "fault":
        options = {"path": "/Subscribe"} if (fault := dice.choice(FAULTS)) == "rpc_broken" else {}
        await rig.sim.fault(fault, count=dice.randint(1, 2), **options)


@pytest.mark.parametrize("seed", range(RUNS))
async def test_the_mirror_ends_equal(start: Start, seed: int) -> None:
    """Restarts resume after the position; what was lost is found by a window and a fingerprint."""
    dice = random.Random(seed)
    rig = await start({"Contact": 12}, more=PUSH, run=False, pubsub=True)
    rig.listen = ""
    chosen = {name: dice.choice(values) for name, values in SWITCHES.items()}
    await rig.sim.control("switches", {"keepalive_s": 0.2, "session_minutes": 100 * 60.0, **chosen})
    await choose(rig, "Contact")
    for _ in range(ROUNDS):
        async with subscribed(rig):
            await rig.load()
            for _ in range(STEPS):
                await step(rig, dice)
        for _ in range(dice.randint(0, 3)):  # while the daemon is down
            rows = [{"Id": await rig.a_record("Contact"), "Title": f"down {dice.random()}"}]
            await rig.dml("update", "Contact", rows=rows)
    await rig.sim.control("faults", method="DELETE")
    rig.advance(120)
    async with subscribed(rig):
        await rig.dml("create", "Contact", rows=[{"LastName": "the last", "Title": "the last"}])

        async def shows() -> bool:
            await apply(rig)
            return await rig.rows("SELECT 1 FROM Contact WHERE Title = 'the last'") != []

        await eventually(shows, f"the last change, of seed {seed}")
        await rig.settle()
        assert await rig.rows("SELECT Id FROM Contact WHERE _rts_partial=1") == []
        rig.advance(120)
        await rig.parts.services.interval_sync.read()
        await rig.parts.services.checks.check(rig["Contact"])
        await rig.settle()
        assert await rig.differences() == [], f"seed {seed}, {chosen}"
