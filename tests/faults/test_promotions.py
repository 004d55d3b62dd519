"""Three nodes on a primary with a synchronous standby, which is promoted once the primary is dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.support import postgres
from tests.support.faults.trial import NAMES, Trial, trial
from tests.support.replication import Replicas, replicas
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    postgres.NEEDED,
]


@pytest.mark.parametrize("promotions", [5])
async def test_a_promoted_standby_has_every_answered_push(
    promotions: int, measured: Callable[[str], None]
) -> None:
    """No push that was answered 200 is lost or applied twice, no epoch has two writers, all is equal."""
    with replicas() as servers:
        await eventually(servers.is_synchronous, "the standby is synchronous")
        async with trial(servers.url) as running:
            async with running.flood.running():
                for number in range(promotions):
                    await _promote(running, servers, gently=number % 2 == 1)
            verdict = await running.verdict()
    measured(f"a standby promoted: {running.told(verdict)}")
    assert verdict.lost == set()
    assert verdict.doubled == []
    assert verdict.shared == []


async def _promote(running: Trial, servers: Replicas, *, gently: bool) -> None:
    """Have the primary die while pushes are on their way, and wait until all is well."""
    began, before = time.monotonic(), sum(running.flood.answered(name, 200) for name in NAMES)
    await eventually(
        lambda: sum(running.flood.answered(name, 200) for name in NAMES) > before + 500, "pushes are answered"
    )
    began = time.monotonic()
    await asyncio.to_thread(servers.promote, gently=gently)
    running.note("promotion", began)
    await asyncio.to_thread(servers.copy)
    await eventually(servers.is_synchronous, "the former primary is the standby")
    running.note("until both servers were there", began)
    await running.leader()
    await running.all_commit()
    running.note("until every node committed", began)
