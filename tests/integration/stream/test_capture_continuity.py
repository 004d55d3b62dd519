"""A restart with change events reads no object that they have told everything of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.inprocess.rig import Rig, Start
from tests.support.mirror import sqlite_only
from tests.support.stream.captured import PUSH, choose
from tests.support.stream.following import taken
from tests.support.stream.restarts import backed_up, decided, edit, is_real_time, lacks_nothing, restore
from tests.support.stream.subscription import subscribed
from tests.support.waiting import eventually

HOUR_S, MINUTE_S = 3_600, 60
Act = Callable[[Rig], Awaitable[None]]


@pytest.fixture
async def captured(start: Start) -> Rig:
    """Contacts and accounts by change events, the latter not selected; the daemon ran, and is down."""
    found = await start({"Account": 3, "Contact": 12}, more=PUSH, run=False, pubsub=True)
    found.listen = ""
    await found.sim.control("switches", {"keepalive_s": 0.1, "session_minutes": 1e6})
    await choose(found, "Contact")
    async with subscribed(found):
        await found.load()
        await lacks_nothing(found)
    return found


@pytest.mark.parametrize("hours", [0, 70])
async def test_change_events_that_the_bus_kept(captured: Rig, hours: int) -> None:
    """Only what is not selected is read, as it is all the time."""
    await edit(captured, "while down")
    captured.advance(hours * HOUR_S)
    assert await read_after_a_restart(captured) == {"Account"}


async def overflown(rig: Rig) -> None:
    """More changes than Salesforce tells one by one, noticed a moment before a kill."""
    assert rig.sim.server is not None
    await rig.sim.control("switches", {"overflow_changes": 4})
    rig.advance(MINUTE_S)
    ids = [row["Id"] async for row in rig.sim.rows("Contact")]
    async with subscribed(rig):
        await rig.dml("update", "Contact", rows=[{"Id": record_id, "Title": "storm"} for record_id in ids])
        await taken(rig.parts, rig.sim.server.bus)
        assert any("left out" in str(note.message) for note in await rig.notes("package"))


async def selected_again(rig: Rig) -> None:
    """The object was not selected for a while, and is again."""
    members = [row["Id"] async for row in rig.sim.rows("PlatformEventChannelMember")]
    await rig.dml("delete", "PlatformEventChannelMember", ids=members)
    await edit(rig, "untold")
    rig.advance(MINUTE_S)
    await choose(rig, "Contact")


@pytest.mark.parametrize("happens", [overflown, selected_again])
async def test_change_events_that_do_not_tell_everything(captured: Rig, happens: Act) -> None:
    """Every object is read after the restart."""
    await happens(captured)
    assert await read_after_a_restart(captured) == {"Account", "Contact"}
    assert await read_after_a_restart(captured) == {"Account"}


async def read_after_a_restart(rig: Rig) -> set[str]:
    """Start; return the objects of which windows were read until it is real time and after."""
    rig.advance(MINUTE_S)
    async with subscribed(rig):
        before = {name: rig[name].stored.cursor for name in rig.objects}
        await is_real_time(rig)
        await eventually(lambda: decided(rig), "a decision")
        await lacks_nothing(rig)
        assert await rig.differences() == []
        return {name for name in rig.objects if rig[name].stored.cursor != before[name]}


@sqlite_only("on PostgreSQL the inbox is in the same backup")
async def test_a_mirror_from_a_backup_lacks_windows(captured: Rig) -> None:
    """What was read since is not in it, and no push tells."""
    copy = backed_up(captured)
    await captured.sim.fault("event_lost", count=1)
    await edit(captured, "lost")
    captured.advance(MINUTE_S)
    async with subscribed(captured):
        await is_real_time(captured)
        await captured.parts.services.interval_sync.catch_up("an operator asks for it")
        await lacks_nothing(captured)
        assert await captured.differences() == []
    restore(captured, copy)
    assert await read_after_a_restart(captured) == {"Account", "Contact"}
