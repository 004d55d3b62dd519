"""Three nodes, and the network between one of them and the database cut so that packets vanish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support import postgres
from tests.support.faults.flood import NO_ANSWER
from tests.support.faults.network import Network, network
from tests.support.faults.trial import LOST_LEASE, NAMES, Trial, trial
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    postgres.NEEDED,
]
ANSWER_S = 4.0
"""Within which a push is answered, whatever the database does."""
NOTICED_S = 5.0
"""Within which a node without the database says that it is not ready."""
BACK_S = 30.0
"""Within which it is ready again once the network is there, also if it has to start on a loaded machine."""
STOP_S = 20.0
"""What systemd grants a service to end."""
ENOUGH = 3_000
"""Pushes refused before a cut ends: some 20 s, in which every time-out comes at least once."""


@pytest.fixture
def links() -> Iterator[Network]:
    """A link to a database for each node."""
    with network(NAMES) as made:
        yield made


@pytest.mark.parametrize("cuts", [5])
async def test_a_node_that_is_cut_off(links: Network, cuts: int, measured: Callable[[str], None]) -> None:
    """The leader and a node that stands by, in turn: another leads, pushes get 503 soon, all come back."""
    with links.database() as (url, urls):
        async with trial(url, urls) as running:
            async with running.flood.running():
                for _ in range(cuts):
                    await _cut_off_leader(running, links)
                    await _cut_off_other(running, links)
            slowest = dict(running.flood.slowest)
            verdict = await running.verdict()
    measured(f"{running.told(verdict)}; slowest answers {slowest} ms")
    assert verdict.lost == set()
    assert verdict.doubled == []
    assert verdict.shared == []
    assert verdict.epochs >= cuts + 1
    assert running.flood.total()[NO_ANSWER] == 0
    assert max(slowest.values()) < ANSWER_S * 1000


async def test_a_node_that_is_cut_off_can_be_stopped(links: Network, measured: Callable[[str], None]) -> None:
    """It ends in the time that systemd grants, with its connections hanging."""
    with links.database() as (url, urls):
        async with trial(url, urls) as running:
            name = await running.leader()
            links.cut(name)
            await eventually(lambda: _is_unready(running, name), f"{name} is not ready", NOTICED_S)
            began = time.monotonic()
            assert await running.nodes.running[name].terminate() == 0
            took = time.monotonic() - began
            measured(f"a leader that is cut off ended {took:.1f} s after SIGTERM")
            assert took < STOP_S


async def _cut_off_leader(running: Trial, links: Network) -> None:
    name = await running.leader()
    others = [other for other in NAMES if other != name]
    await running.nodes.aim(others[0])
    began = time.monotonic()
    links.cut(name)
    await _refuses(running, name, began)
    await running.leader(others)
    running.note("until another led", began)
    await _holds(running, name)
    began = time.monotonic()
    links.restore(name)
    async with asyncio.timeout(BACK_S):
        assert await running.nodes.running[name].process.wait() == LOST_LEASE
    await running.nodes.launch(name)
    await running.all_commit(BACK_S)
    running.note("until the former leader was back", began)


async def _cut_off_other(running: Trial, links: Network) -> None:
    leader = await running.leader()
    status = await running.nodes.running[leader].status()
    name = next(other for other in NAMES if other != leader)
    process = running.nodes.running[name].process
    await running.nodes.aim(leader)
    began = time.monotonic()
    links.cut(name)
    await _refuses(running, name, began)
    await _holds(running, name)
    began = time.monotonic()
    links.restore(name)
    await running.all_commit(BACK_S)
    running.note("until one that stood by was back", began)
    assert process.returncode is None
    assert (await running.nodes.running[leader].status()).node == status.node


async def _refuses(running: Trial, name: str, began: float) -> None:
    """Wait until a node says that it takes no pushes."""
    await eventually(lambda: _is_unready(running, name), f"{name} is not ready", NOTICED_S)
    running.note("until it was not ready", began)


async def _holds(running: Trial, name: str) -> None:
    """Wait until the cut has lasted, by the pushes that were refused."""
    before = running.flood.answered(name, 503)
    await eventually(
        lambda: running.flood.answered(name, 503) - before > ENOUGH, f"{name} refuses pushes", 60
    )


async def _is_unready(running: Trial, name: str) -> bool:
    return await running.nodes.readiness(name) == 503
