"""A daemon's parts with Change Data Capture as their channel, and the ways of their changes."""

from __future__ import annotations

from tests.support.inprocess.rig import Rig
from tests.support.rtssim.api import Api
from tests.support.rtssim.pubsub import select
from tests.support.stream.keeper import session_of
from tests.support.waiting import eventually

PUSH = '[push]\nchannel = "cdc"\nendpoint = "{pubsub}"\n'


async def choose(rig: Rig, *names: str) -> None:
    """Select objects in the org."""
    session = session_of(rig.sim)
    api = Api(rig.sim, (await session.token()).access_token)
    for name in names:
        assert (await select(api, name))[0] == 201
    await session.close()


async def apply(rig: Rig) -> None:
    """Apply what has come."""
    await rig.parts.services.evidence.step()
    while await rig.parts.services.realtime.apply_batch():
        pass


async def arrived(rig: Rig, title: str) -> None:
    """Wait until an event with that title was applied."""

    async def shows() -> bool:
        await apply(rig)
        return await rig.rows("SELECT 1 FROM Contact WHERE Title = ?", title) != []

    await eventually(shows, f"{title} in the mirror")


async def settled(rig: Rig) -> None:
    """Wait until the mirror equals the org, with nothing but what the events ask for."""

    async def equal() -> bool:
        await rig.settle()
        return await rig.differences() == []

    await eventually(equal, "mirror and org are equal")
