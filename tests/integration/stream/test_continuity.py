"""A restart reads no object if the bus shows that nothing was lost, and every object if it does not."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import pytest

from rtsd.core.mode import Mode, Signal
from rtsd.core.quota import DELIVERIES
from rtsd.core.silence import Quiet
from rtsd.daemon.stream import TOPIC
from rtsd.store import meta
from rtsd.sync.continuity import ANSWERS_WITHIN
from tests.support.inprocess.rig import TOKEN, Rig, Start
from tests.support.mirror import sqlite_only
from tests.support.stream.restarts import (
    backed_up,
    decided,
    edit,
    is_real_time,
    lacks_nothing,
    restore,
    windows,
)
from tests.support.stream.subscription import subscribed
from tests.support.waiting import eventually

PUSH = '[push]\nchannel = "stream"\nendpoint = "{pubsub}"\n'
MINUTE_S = 60
HOUR_S = 3_600
HEARTBEAT_S = 15 * MINUTE_S
Act = Callable[[Rig], Awaitable[None]]


@pytest.fixture
async def rig(start: Start) -> Rig:
    """Contacts, and a package that publishes; the daemon ran until nothing was missing, and is down."""
    found = await start({"Contact": 12}, more=PUSH, run=False, pubsub=True)
    found.listen = ""
    await install(found, "Contact")
    quick = {"keepalive_s": 0.1, "session_minutes": 1e6, "push_timestamp_by_org_clock": True}
    await found.sim.control("switches", quick)
    await found.sim.control("limits", {DELIVERIES: 1_000_000})
    async with subscribed(found):
        await found.load()
        await lacks_nothing(found)
    return found


async def install(rig: Rig, *names: str) -> None:
    """Install the package in the org, with triggers on some objects."""
    settings = {"channel": "stream", "objects": names, "settings": {"Token__c": TOKEN}}
    await rig.sim.control("package/install", settings)


async def pass_time(rig: Rig, seconds: float) -> None:
    """Let time pass in the org, with the heartbeats of its package."""
    for _ in range(int(seconds // HEARTBEAT_S)):
        rig.advance(HEARTBEAT_S)
        await rig.sim.control("package/heartbeat")


async def reads(rig: Rig, objects: int = 1) -> str:
    """Start, and read every object; return the journal's reason."""
    before = await windows(rig)
    async with subscribed(rig):
        await is_real_time(rig)
        await rig.load()
        await lacks_nothing(rig)
        assert await windows(rig) - before >= objects
        assert await rig.differences() == []
        told = [str(note.message) for note in await rig.notes("package")]
    reasons = [text for text in told if text.startswith("every object is being read: ")]
    return reasons[-1].partition(": ")[2] if reasons else ""


async def reads_nothing(rig: Rig) -> None:
    """Start, and read no window until it is real time and after."""
    before = await windows(rig)
    async with subscribed(rig):
        await rig.parts.services.interval_sync.step()
        await is_real_time(rig)
        await eventually(lambda: decided(rig), "a decision")
        await rig.parts.services.interval_sync.step()
        assert await windows(rig) == before
        assert rig.mode is Mode.REAL_TIME
        assert await rig.differences() == []
        notes = [str(note.message) for note in await rig.notes("package") if note.message != "heartbeat"]
        assert notes[-1] == "the stream has brought what came while rtsd was down: no object has to be read"


@pytest.mark.parametrize("hours", [0, 70])
async def test_what_the_bus_kept_needs_no_window(rig: Rig, hours: int) -> None:
    """However long it was, if the package was heard all the time."""
    await pass_time(rig, hours * HOUR_S / 2)
    await edit(rig, "while down")
    await pass_time(rig, hours * HOUR_S / 2)
    await reads_nothing(rig)


async def test_nothing_is_claimed_before_it_is_shown(rig: Rig) -> None:
    """Until then the mode is not real time, silence is not explained, and a kill changes nothing."""
    await pass_time(rig, 2 * HOUR_S)
    before = await windows(rig)
    for _ in range(2):
        async with rig.running() as parts:
            await parts.services.interval_sync.step()
            status = await parts.views.status()
            assert (status.mode, status.push.quiet) == (Mode.AWAITING_PACKAGE, Quiet.UNKNOWN)
    assert await windows(rig) == before
    await reads_nothing(rig)


async def test_a_kill_amid_what_the_bus_kept(rig: Rig) -> None:
    """The next start goes on, and a silence that both have seen a part of is one."""
    await pass_time(rig, HOUR_S)
    async with subscribed(rig):
        await eventually(lambda: is_stored_since(rig), "a position")
    await pass_time(rig, HOUR_S)
    async with subscribed(rig):
        pass
    await edit(rig, "not pushed by a package that is gone")
    rig.advance(20 * MINUTE_S)
    async with subscribed(rig):
        await eventually(lambda: is_stored_since(rig), "a position")
    rig.advance(20 * MINUTE_S)
    assert await reads(rig) == "the package was silent meanwhile"


async def is_stored_since(rig: Rig) -> bool:
    """Whether a position of now is stored."""
    position = await rig.parts.base.inbox.position(TOPIC)
    return position is not None and position.at == rig.now()


async def silent(rig: Rig) -> None:
    """No heartbeat for two hours."""
    rig.advance(2 * HOUR_S)


async def disabled(rig: Rig) -> None:
    """The package is disabled, and enabled again."""
    await rig.sim.control("package/settings", {"Disable_RTS__c": True})
    await pass_time(rig, 2 * HEARTBEAT_S)
    await edit(rig, "not pushed")
    await rig.sim.control("package/settings", {"Disable_RTS__c": False})


async def without_its_trigger(rig: Rig) -> None:
    """The object's trigger is removed, and comes back."""
    await install(rig, "Account")
    await pass_time(rig, 2 * HEARTBEAT_S)
    await edit(rig, "not pushed")
    await install(rig, "Contact")


async def stopped(rig: Rig) -> None:
    """The relay is suspended, then resumed."""
    await rig.sim.control("package/relay", {"action": "suspend"})
    rig.advance(HEARTBEAT_S)
    await rig.sim.control("package/heartbeat")
    await rig.sim.control("package/relay", {"action": "resume"})


async def refused(rig: Rig) -> None:
    """An event has another token's signature."""
    await rig.sim.control("package/settings", {"Token__c": "a token of somebody else"})
    await edit(rig, "with another token")
    await rig.sim.control("package/drain", {})
    await rig.sim.control("package/settings", {"Token__c": TOKEN})


async def moved(rig: Rig) -> None:
    """Salesforce moves the org: the position means nothing any more."""
    await edit(rig, "gone with the stream")
    await rig.sim.control("package/drain", {})
    await rig.sim.control("bus/move", {})


async def forgotten(rig: Rig) -> None:
    """The bus takes the position, although it does not keep events for so long."""
    await rig.sim.control("switches", {"late_purge_h": 12})
    await pass_time(rig, 75 * HOUR_S)


async def configured(rig: Rig) -> None:
    """One more object is mirrored."""
    rig.objects = ("Contact", "Account")
    await install(rig, *rig.objects)


async def of_an_earlier_version(rig: Rig) -> None:
    """A version ran that stores the position alone; it took an event, and was killed before a window."""
    assert rig.sim.server is not None
    await edit(rig, "not pushed to this mirror")
    await rig.sim.control("package/drain", {})
    bus = rig.sim.server.bus
    position = base64.b64encode(bus.replay_id(bus.tick())).decode()
    async with rig.running() as parts, parts.base.inbox.file.transaction() as tx:
        await meta.put(tx, f"position of {TOPIC}", position)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (silent, "the package was silent meanwhile"),
        (disabled, "the package was disabled meanwhile"),
        (without_its_trigger, "an object had no Apex trigger meanwhile"),
        (stopped, "The relay (RTS_Change_Event) is suspended: nothing is pushed."),
        (refused, "an event was refused"),
        (moved, "Salesforce no longer knows the stream's position"),
        (forgotten, "the bus does not keep events for as long as rtsd was down"),
        (configured, "the configuration has changed"),
        (of_an_earlier_version, "the stream has no position yet"),
    ],
)
async def test_what_happens_while_down(rig: Rig, happens: Act, reason: str) -> None:
    """Every object is read, and the journal says why."""
    await happens(rig)
    assert await reads(rig) == reason
    await reads_nothing(rig)


async def asked_for(rig: Rig) -> None:
    """What the stream cannot bring is about to be read."""
    await rig.parts.services.interval_sync.catch_up("a part is missing")


async def fallen_silent(rig: Rig) -> None:
    """Nothing was pushed for a while."""
    await rig.parts.channel.mode.observe(Signal.SILENCE)


async def paused(rig: Rig) -> None:
    """An operator pauses and resumes."""
    await rig.parts.channel.mode.pause()
    await rig.parts.channel.mode.resume()


async def forged(rig: Rig) -> None:
    """An event is refused."""
    await refused(rig)

    async def is_counted() -> bool:
        return (await rig.parts.views.status()).push.rejected_24h > 0

    await eventually(is_counted, "a rejection")


@pytest.mark.parametrize("happens", [asked_for, fallen_silent, paused, forged])
async def test_what_was_missing_when_it_stopped(rig: Rig, happens: Act) -> None:
    """Is read after the restart, if it was not before."""
    async with subscribed(rig):
        await is_real_time(rig)
        await rig.parts.services.interval_sync.step()
        assert not rig.parts.channel.continuity.is_resuming
        await happens(rig)
    await reads(rig)
    await reads_nothing(rig)


@sqlite_only("on PostgreSQL the inbox is in the same backup")
async def test_a_mirror_from_a_backup_lacks_pushes(rig: Rig) -> None:
    """Its inbox has removed them since."""
    copy = backed_up(rig)
    async with subscribed(rig):
        await edit(rig, "after the backup")
        await is_real_time(rig)
        await rig.parts.services.interval_sync.step()
    restore(rig, copy)
    await reads(rig)


async def test_a_stream_that_does_not_answer_in_time(rig: Rig) -> None:
    """Every object is read five minutes after the start."""
    before = await windows(rig)
    async with rig.running() as parts:
        pause = await parts.services.interval_sync.step()
        assert 0 < pause <= ANSWERS_WITHIN / 1000
        rig.advance(ANSWERS_WITHIN / 1000)
        assert await windows(rig) == before
        await parts.services.interval_sync.step()
        assert await windows(rig) > before


async def test_a_package_that_is_not_heard_in_time(rig: Rig) -> None:
    """The stream answers, and no heartbeat comes: every object is read after `silence_after`."""
    before = await windows(rig)
    rig.advance(31 * MINUTE_S)
    async with subscribed(rig):
        await eventually(lambda: answered(rig), "a response")
        for _ in range(2):
            rig.advance(14 * MINUTE_S)
            await rig.parts.services.interval_sync.step()
            assert await windows(rig) == before
        rig.advance(3 * MINUTE_S)
        await rig.parts.services.interval_sync.step()
        assert await windows(rig) > before


async def answered(rig: Rig) -> bool:
    """Whether the stream has, so that only the package is awaited."""
    return rig.parts.channel.continuity.left() > ANSWERS_WITHIN


async def test_an_org_at_the_limit_of_its_deliveries(rig: Rig) -> None:
    """Without a subscription, every object is read at once."""
    await rig.sim.control("limits", {"use": {DELIVERIES: 900_000}})
    before = await windows(rig)
    async with rig.running() as parts:
        assert parts.services.deliveries is not None
        assert parts.services.subscriber is not None
        await parts.services.deliveries.step()
        await parts.services.subscriber.step()
        await parts.services.interval_sync.step()
        assert await windows(rig) > before
