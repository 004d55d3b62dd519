"""Three nodes on one database, pushes to all of them, and fault after fault of the leader or the database."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support import pgbouncer, postgres
from tests.support.faults.trial import LOST_LEASE, NAMES, Trial, trial

pytestmark = [
    pytest.mark.slow,
    postgres.NEEDED,
]
POOL = 4
"""Connections to the server for each node behind PgBouncer, which would have some five."""


@pytest.mark.parametrize(("kills", "freezes", "crashes"), [(50, 20, 20)])
@pytest.mark.parametrize("way", ["direct", pytest.param("pgbouncer", marks=pgbouncer.NEEDED)])
async def test_whoever_dies_nothing_answered_is_lost(
    way: str, kills: int, freezes: int, crashes: int, measured: Callable[[str], None]
) -> None:
    """No push that was answered 200 is lost or applied twice, no epoch has two writers, all is equal."""
    faults = ["kill"] * kills + ["freeze"] * freezes + ["crash"] * crashes
    random.Random(16).shuffle(faults)
    with postgres.cluster() as url, _urls(url, way) as urls:
        async with trial(url, urls) as running:
            async with running.flood.running():
                for fault in faults:
                    await _suffer(running, fault, url)
            verdict = await running.verdict()
    measured(f"{way}: {running.told(verdict)}")
    assert verdict.lost == set()
    assert verdict.doubled == []
    assert verdict.shared == []
    assert verdict.epochs >= kills + freezes


@contextmanager
def _urls(url: str, way: str) -> Iterator[dict[str, str]]:
    """Yield the URLs of the nodes that have their own."""
    if way == "direct":
        yield {}
        return
    with pgbouncer.bouncing(url, POOL, NAMES) as bounced:
        yield {name: bounced.replace("/mirrors", f"/{name}") for name in NAMES}


async def _suffer(running: Trial, fault: str, url: str) -> None:
    """Have something happen, and wait until all is well; note how long nobody led."""
    nodes, name = running.nodes, await running.leader()
    others = [other for other in NAMES if other != name]
    await nodes.aim(random.choice(others))
    began = time.monotonic()
    if fault == "crash":
        with postgres.crashed(url):
            await asyncio.sleep(random.random())
    elif fault == "kill":
        await nodes.running[name].kill()
    else:
        nodes.freeze(name)
    await running.leader(NAMES if fault == "crash" else others)
    running.note(fault, began)
    if fault == "freeze":
        assert await nodes.thaw(name) == LOST_LEASE, nodes.rig.log.read_text()[-2000:]
    if fault == "kill":
        await nodes.launch(name)
    await running.all_commit()
