"""The mode machine at work: each transition from what happens, with its reason in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from rtsd.core.mode import Mode
from tests.support.inprocess.rig import Rig, Start

SILENCE_S = 1_800


async def modes(rig: Rig) -> list[str]:
    """The journal's transitions: `mode: reason`."""
    return [str(note.message) for note in await rig.notes("mode") if note.detail]


async def watched(rig: Rig, until: Callable[[Callable[[], Any]], Awaitable[None]], mode: Mode) -> None:
    """Run the watch over silence until the mode is as expected."""
    watch = asyncio.create_task(rig.parts.runner.run(rig.parts.services.silence_watch))
    try:
        await until(lambda: rig.mode is mode)
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def test_silence_is_noticed_read_and_ended_by_a_push(
    contacts: Rig, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """Charter 15: thirty minutes on a clock that nobody sets, one window, and back with the next push."""
    parts = contacts.parts
    record = await contacts.a_record("Contact")
    await contacts.dml("update", "Contact", rows=[{"Id": record, "Title": "pushed"}])
    await contacts.settle()
    await parts.services.interval_sync.step()
    assert contacts.mode is Mode.REAL_TIME
    await contacts.sim.fault("push_lost", count=1)
    contacts.advance(SILENCE_S - 60)
    await contacts.dml("update", "Contact", rows=[{"Id": record, "Title": "lost"}])
    contacts.advance(59)
    await watched(contacts, until, Mode.REAL_TIME)
    contacts.advance(1)
    await watched(contacts, until, Mode.INTERVAL)
    await parts.services.interval_sync.step()
    assert await contacts.differences() == []
    assert parts.channel.push.quiet == "silent"
    assert parts.channel.push.quiet_proof
    contacts.advance(5)
    await contacts.dml("update", "Contact", rows=[{"Id": record, "Title": "back"}])
    await contacts.settle()
    assert contacts.mode is Mode.REAL_TIME
    assert await modes(contacts) == [
        "real_time: push received",
        "interval: no push for 30m",
        "real_time: push received",
    ]
    shown = await contacts.parts.views.status()
    assert (shown.mode, shown.mode_reason) == ("real_time", "push received")


async def test_quiet_is_idle_only_when_it_was_proven(
    contacts: Rig, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """ac_21: a window that found nothing is the proof; before it nobody knows."""
    parts = contacts.parts
    await contacts.heartbeat()
    assert parts.channel.push.quiet == "unknown", "a heartbeat proves nothing of changes"
    contacts.advance(SILENCE_S)
    await watched(contacts, until, Mode.INTERVAL)
    assert parts.channel.push.quiet == "unknown"
    await parts.services.interval_sync.step()
    assert parts.channel.push.quiet == "idle"
    assert "nothing changed" in str(parts.channel.push.quiet_proof)


async def test_real_time_reads_nothing_by_itself(contacts: Rig) -> None:
    """Steady state costs no call, once what was owed at the start is read."""
    parts = contacts.parts
    await contacts.heartbeat()
    await parts.services.interval_sync.step()
    before = await contacts.calls()
    for _ in range(5):
        contacts.advance(300)
        await parts.services.interval_sync.step()
    assert await contacts.calls() == before


async def test_a_disabled_package_is_said_to_be_disabled(contacts: Rig) -> None:
    """Its heartbeat says so; windows are read meanwhile; enabled again, a push leads back."""
    parts = contacts.parts
    await contacts.heartbeat()
    await contacts.sim.control("package/settings", {"Disable_RTS__c": True})
    await contacts.heartbeat()
    assert contacts.mode is Mode.DISABLED
    assert (await contacts.parts.views.status()).package.disabled is True
    contacts.advance(60)
    await contacts.dml("create", "Contact", rows=[{"LastName": "unpushed"}])
    await contacts.settle()
    assert len(await contacts.differences()) == 1
    await parts.services.interval_sync.step()
    assert await contacts.differences() == []
    await contacts.sim.control("package/settings", {"Disable_RTS__c": False})
    await contacts.heartbeat()
    assert contacts.mode is Mode.REAL_TIME
    assert (await modes(contacts))[1:] == [
        "disabled: package disabled in the org",
        "real_time: push received",
    ]


async def test_the_package_is_looked_for(start: Start) -> None:
    """Missing, deployed, switched off, switched on: each look says what is there."""
    rig = await start({"Contact": 2})
    look = rig.package_probe.step
    await look()
    assert rig.mode is Mode.AWAITING_PACKAGE
    assert (await rig.parts.views.status()).package.state == "missing"
    await rig.install_package()
    assert await look() <= 30
    assert rig.mode is Mode.INTERVAL
    await rig.sim.control("package/settings", {"Disable_RTS__c": True})
    await look()
    assert rig.mode is Mode.DISABLED
    await rig.sim.control("package/settings", {"Disable_RTS__c": False})
    await look()
    assert rig.mode is Mode.INTERVAL
    await rig.sim.control("package/uninstall")
    await look()
    assert await modes(rig) == [
        "interval: package found",
        "disabled: package disabled in the org",
        "interval: package enabled in the org",
        "awaiting_package: package not in the org",
    ]


async def test_an_org_that_is_away_and_comes_back(contacts: Rig) -> None:
    """The mode says so and why, the error is logged once, pushes are taken all the while."""
    parts = contacts.parts
    fault = await contacts.sim.fault("html_503", path="/services/data")
    for _ in range(3):
        contacts.advance(60)
        await parts.runner.step(parts.services.interval_sync)
    assert contacts.mode is Mode.UNREACHABLE
    shown = await contacts.parts.views.status()
    assert (shown.org.reachable, shown.mode) == (False, "unreachable")
    assert shown.org.error
    assert len(await contacts.notes("error")) == 1
    await contacts.sim.control(f"faults?id={fault}", method="DELETE")
    contacts.advance(60)
    await parts.runner.step(parts.services.interval_sync)
    assert contacts.mode is Mode.INTERVAL
    assert (await contacts.parts.views.status()).org.error is None
    assert [text.split(":")[0] for text in await modes(contacts)] == ["unreachable", "interval"]


async def test_an_org_away_in_real_time_is_no_silence(contacts: Rig) -> None:
    """While pushes come, the mode stays; the org is shown as unreachable all the same."""
    parts = contacts.parts
    await contacts.heartbeat()
    await contacts.sim.fault("html_503", path="/services/data")
    await parts.runner.step(parts.services.interval_sync)
    assert contacts.mode is Mode.REAL_TIME
    assert (await contacts.parts.views.status()).org.reachable is False


async def test_a_pause_holds_and_a_resume_catches_up(contacts: Rig) -> None:
    """Pushes are taken and wait; nothing is read; after it everything is as in the org."""
    parts = contacts.parts
    await contacts.heartbeat()
    await parts.services.interval_sync.step()
    await parts.channel.mode.pause()
    before = await contacts.calls()
    await contacts.dml("create", "Contact", rows=[{"LastName": "while paused"}])
    await contacts.sim.control("package/drain", {})
    services = parts.services
    run = asyncio.create_task(parts.runner.run(services.realtime))
    for service in (services.interval_sync, services.loader, services.checks, contacts.package_probe):
        await service.step()
    assert await contacts.calls() == before
    assert contacts.parts.base.inbox.pending >= 1
    assert contacts.mode is Mode.PAUSED
    run.cancel()
    await parts.channel.mode.resume()
    await contacts.settle()
    await parts.services.interval_sync.step()
    assert await contacts.differences() == []
    found = await modes(contacts)
    place = found.index("paused: paused by an operator")
    assert found[place + 1] == "interval: resumed by an operator"


async def test_a_pause_outlives_a_restart(start: Start) -> None:
    """An operator who paused it finds it paused."""
    rig = await start({"Contact": 2}, run=False)
    async with rig.running() as parts:
        await parts.channel.mode.pause()
    async with rig.running() as parts:
        assert rig.mode is Mode.PAUSED
        assert parts.channel.mode.is_paused
        await parts.channel.mode.resume()
    async with rig.running():
        assert rig.mode is not Mode.PAUSED


async def test_a_start_that_is_paused_reads_nothing(start: Start) -> None:
    """The window that every start owes is read after the resume."""
    rig = await start({"Contact": 2}, run=False)
    async with rig.running() as parts:
        await rig.load()
        await parts.channel.mode.pause()
    async with rig.running() as parts:
        await rig.dml("create", "Contact", rows=[{"LastName": "while paused"}])
        before = await rig.calls()
        await parts.services.interval_sync.step()
        assert await rig.calls() == before
        await parts.channel.mode.resume()
        assert parts.services.interval_sync.wake.is_set()
        await parts.services.interval_sync.step()
        assert await rig.differences() == []


async def test_a_package_that_is_gone_is_no_silence(contacts: Rig) -> None:
    """One transition, with what was found as its reason; the package's return is seen by its push."""
    probe = contacts.parts.services.package_probe
    assert probe is not None
    await contacts.heartbeat()
    await probe.step()  # seen once, so that its absence tells something
    assert contacts.mode is Mode.REAL_TIME
    await contacts.sim.control("package/uninstall")
    probe.watch.request_probe()
    await probe.step()
    assert await modes(contacts) == ["real_time: push received", "awaiting_package: package not in the org"]
    assert contacts.parts.channel.push.quiet == "unknown", "nothing is known of silence"


async def test_pushes_that_return_to_an_unreachable_org_owe_a_window(contacts: Rig) -> None:
    """What changed while nobody could read is read, although pushes lead straight to real time."""
    parts = contacts.parts
    fault = await contacts.sim.fault("html_503", path="/services/data")
    await parts.runner.step(parts.services.interval_sync)
    assert contacts.mode is Mode.UNREACHABLE
    await contacts.sim.fault("push_lost", count=1)
    await contacts.dml("create", "Contact", rows=[{"LastName": "unseen"}])
    await contacts.sim.control(f"faults?id={fault}", method="DELETE")
    await contacts.heartbeat()
    assert contacts.mode is Mode.REAL_TIME
    await parts.runner.step(parts.services.interval_sync)
    assert await contacts.differences() == []


async def test_a_start_owes_a_window(contacts: Rig) -> None:
    """What happened while the daemon was down is read, even when pushes come at once."""
    await contacts.sim.fault("push_lost", count=1)
    contacts.advance(60)
    await contacts.dml("create", "Contact", rows=[{"LastName": "unseen"}])
    await contacts.settle()
    await contacts.heartbeat()
    assert contacts.mode is Mode.REAL_TIME
    await contacts.parts.services.interval_sync.step()
    assert await contacts.differences() == []
