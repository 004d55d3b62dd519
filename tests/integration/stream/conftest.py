"""A simulated org that serves the Pub/Sub API, with Contact selected, and what takes its events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve
from rtssim.switches import ApiSwitches
from tests.support.inprocess.rig import Rig, Start
from tests.support.rtssim.api import Api
from tests.support.rtssim.pubsub import select
from tests.support.stream.captured import PUSH, choose
from tests.support.stream.keeper import Keeper, session_of


@pytest.fixture
async def org() -> AsyncIterator[SimulatedOrg]:
    """An org with quick keepalives."""
    engine = Org(seed=5, records={"Account": 3, "Contact": 30})
    async with serve(engine, switches=ApiSwitches(session_minutes=6_000.0), pubsub=True) as served:
        session = session_of(served)
        await select(Api(served, (await session.token()).access_token), "Contact")
        await session.close()
        await served.control("switches", {"keepalive_s": 0.2, "same_changes_merge": False})
        yield served
    engine.close()


@pytest.fixture
def keeper() -> Keeper:
    """What takes the events."""
    return Keeper()


@pytest.fixture
async def rig(start: Start) -> Rig:
    """Contacts and accounts, of which contacts are selected; the daemon does not run yet."""
    found = await start({"Account": 3, "Contact": 12}, more=PUSH, run=False, pubsub=True)
    found.listen = ""
    await found.sim.control("switches", {"keepalive_s": 0.2, "session_minutes": 100 * 60.0})
    await choose(found, "Contact")
    return found
