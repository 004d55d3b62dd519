"""Silent or idle: what it means that no push comes is proven, and the proof is shown."""

from __future__ import annotations

import asyncio

from rtsd.core.mode import Mode
from rtsd.sync.windows import window_cost
from tests.support.inprocess.channels import connect, lose_pushes, on_every_channel, where_signed
from tests.support.inprocess.stand import Stand, Standing

MINUTE_S = 60
HOURS = {"gateway": 24, "stream": 2, "cdc": 3}
"""A whole day on one channel: the others differ in nothing that takes so long."""


async def pushing(stand: Standing, channel: str, **options: object) -> Stand:
    """Leads, loaded; the org sends their changes, and a push has come."""
    org = await (await stand({"Lead": 40}, channel=channel, **options)).loaded()
    await connect(org, "Lead")
    org.advance(10)
    org.update("Lead", org.ids("Lead")[:1], Title="the channel works")
    await org.pushed()
    assert org.parts.channel.mode.mode is Mode.REAL_TIME
    org.advance(5)
    return org


async def minutes(org: Stand, count: int) -> None:
    """Let so many minutes pass, with what the daemon's loops do in them."""
    services = org.parts.services
    for minute in range(count):
        org.advance(MINUTE_S)
        await services.silence_watch.step()
        if minute % 5 == 0 or services.interval_sync.wake.is_set():
            services.interval_sync.wake.clear()
            await services.interval_sync.step()


async def shown(org: Stand) -> tuple[str, str]:
    """`push.quiet` of status, and its proof."""
    push = (await org.parts.views.status()).push
    return push.quiet, push.quiet_proof or ""


@on_every_channel
async def test_ac_21_an_idle_org_stays_green(stand: Standing, channel: str) -> None:
    """Hours without a change: idle, with a proof that is never older than a window."""
    org = await pushing(stand, channel)
    await minutes(org, HOURS[channel] * 60)
    quiet, proof = await shown(org)
    assert quiet == "idle"
    assert "nothing changed in the org" in proof
    assert "every object read at" in proof
    assert [event for event in await org.journal("package") if "silent" in (event.message or "")] == []
    assert (await org.parts.views.status()).push.missed_24h == 0
    assert (await org.state("Lead")).state == "live"


@on_every_channel
async def test_ac_15_a_broken_channel_turns_red_and_is_caught_up(stand: Standing, channel: str) -> None:
    """Every push is lost: within silence_after and a minute it is called silence, and nothing is missing."""
    org = await pushing(stand, channel, silence_after="30m")
    await lose_pushes(org)
    org.update("Lead", org.ids("Lead")[:7], Title="nobody hears this")
    await minutes(org, 31)
    quiet, proof = await shown(org)
    assert quiet == "silent"
    assert proof.startswith("no push delivered 7 changes")
    status = await org.parts.views.status()
    assert (status.mode, status.push.missed_24h) == ("interval", 7)
    (entry,) = [event for event in await org.journal("package") if (event.detail or {}).get("quiet")]
    assert (entry.detail or {})["missed"] == 7
    assert await org.equal("Lead") == 40
    await minutes(org, 60)
    assert (await shown(org))[0] == "silent", "only a sign of life ends silence"
    await org.simulated.control("faults", method="DELETE")
    org.update("Lead", org.ids("Lead")[:1], Title="heard again")
    await org.pushed()
    assert (await shown(org))[0] == "live"
    assert org.parts.channel.mode.mode is Mode.REAL_TIME


@on_every_channel
async def test_a_missed_push_is_counted_once(stand: Standing, channel: str) -> None:
    """A window, a check and a proof may count at the same time."""
    org = await pushing(stand, channel)
    await lose_pushes(org, count=10_000)
    org.update("Lead", org.ids("Lead")[:3], Title="nobody hears this")
    org.advance(2 * MINUTE_S)
    await org.parts.readers.windows.step(org.parts.base.catalog["Lead"])
    missed = org.parts.channel.missed_pushes
    await asyncio.gather(missed.count(), missed.count(), missed.count())
    assert missed.missed_24h() == 3


@where_signed
async def test_filtered_is_neither_silence_nor_drift(stand: Standing, channel: str) -> None:
    """Only fields that no condition watches changed: filtered; a fingerprint counts such rows apart."""
    org = await pushing(stand, channel, objects={"Lead": {"conditions": ["Company"]}})
    await lose_pushes(org)  # as the package does, when no condition holds
    org.update("Lead", org.ids("Lead")[:5], Title="watched by nobody")
    await minutes(org, 31)
    quiet, proof = await shown(org)
    assert quiet == "filtered"
    assert "5 changes touched only fields that no sync condition watches" in proof
    assert (await org.parts.views.status()).push.missed_24h == 0
    org.update("Lead", org.ids("Lead")[5:9], Title="watched by nobody")
    org.advance(3_600)
    await org.audit("Lead")
    drift = (await org.state("Lead")).drift
    assert drift is not None
    assert (drift.stale, drift.held_back) == (0, 4)
    assert await org.journal("drift") == []
    assert "4 of 4 stale changed only in unwatched fields" in str(await org.journal("audit"))
    assert await org.equal("Lead") == 40


@on_every_channel
async def test_heartbeats_alone_are_proven_to_be_idleness(stand: Standing, channel: str) -> None:
    """No change for hours: every object is read once per silence_after, and the mode stays."""
    org = await pushing(stand, channel)
    await org.parts.services.interval_sync.step()  # what the return of pushes owed
    last_at = (await org.parts.views.status()).push.last_at
    before = await org.calls()
    for _ in range(HOURS[channel] * 4):
        await org.beat()
        await minutes(org, 15)
    quiet, proof = await shown(org)
    assert quiet == "idle"
    assert proof.startswith("nothing changed in the org")
    status = await org.parts.views.status()
    assert (status.mode, status.push.last_at, status.push.missed_24h) == ("real_time", last_at, 0)
    assert (status.push.last_heartbeat_at is None) is (channel == "cdc")
    (lead,) = org.parts.base.catalog
    assert await org.cost(before) <= HOURS[channel] * 2 * window_cost(lead, 0, 0).api_calls


@on_every_channel
async def test_heartbeats_do_not_hide_a_dead_trigger(stand: Standing, channel: str) -> None:
    """The trigger is dead and the scheduled job goes on: silence, and only a push of changes ends it."""
    org = await pushing(stand, channel)
    await lose_pushes(org, count=10_000)
    org.update("Lead", org.ids("Lead")[:7], Title="nobody hears this")
    for _ in range(3):
        await org.beat()
        await minutes(org, 15)
    quiet, proof = await shown(org)
    assert quiet == "silent"
    assert proof.startswith("no push delivered 7 changes")
    status = await org.parts.views.status()
    assert (status.mode, status.push.missed_24h) == ("interval", 7)
    assert await org.equal("Lead") == 40
    for _ in range(8):
        await org.beat()
        await minutes(org, 15)
        assert (await shown(org))[0] == "silent"
        assert org.parts.channel.mode.mode is Mode.INTERVAL
    await org.simulated.control("faults", method="DELETE")
    org.update("Lead", org.ids("Lead")[:1], Title="heard again")
    await org.pushed()
    assert (await shown(org))[0] == "live"
    assert org.parts.channel.mode.mode is Mode.REAL_TIME


@on_every_channel
async def test_the_last_push_is_remembered_and_is_no_heartbeat(stand: Standing, channel: str) -> None:
    """`push.last_at` survives a restart; heartbeats are told apart."""
    org = await pushing(stand, channel)
    last_at = (await org.parts.views.status()).push.last_at
    assert last_at is not None
    org.advance(MINUTE_S)
    await org.beat()
    push = (await org.parts.views.status()).push
    assert (push.last_at, push.last_heartbeat_at) != (last_at, last_at)
    assert push.last_at == last_at
    await org.stop()
    org.advance(MINUTE_S)
    await org.start()
    assert (await org.parts.views.status()).push.last_at == last_at


@where_signed
async def test_a_switched_off_package_misses_nothing(stand: Standing, channel: str) -> None:
    """With Disable_RTS__c set, no push is expected: changes come by windows, and none is called missed."""
    org = await pushing(stand, channel)
    await org.simulated.control("package/settings", {"Disable_RTS__c": True})
    await org.probe_package()
    await org.beat()
    assert org.parts.channel.mode.mode is Mode.DISABLED
    org.update("Lead", org.ids("Lead")[:9], Title="read, not pushed")
    await minutes(org, 45)
    assert (await org.parts.views.status()).push.missed_24h == 0
    assert (await shown(org))[0] != "silent"
    assert await org.equal("Lead") == 40


@on_every_channel
async def test_missed_pushes_survive_a_restart(stand: Standing, channel: str) -> None:
    """What was missed within 24 hours is counted again after a restart, and forgotten after a day."""
    org = await pushing(stand, channel)
    await lose_pushes(org)
    org.update("Lead", org.ids("Lead")[:3], Title="lost")
    org.advance(3_600)
    await org.audit("Lead")
    assert (await org.parts.views.status()).push.missed_24h == 3
    await org.stop()
    await org.start()
    assert (await org.parts.views.status()).push.missed_24h == 3
    org.advance(24 * 3_600)
    assert (await org.parts.views.status()).push.missed_24h == 0


@on_every_channel
async def test_a_contradiction_makes_a_fingerprint_due(stand: Standing, channel: str) -> None:
    """An update of an unknown record: it is fetched at once, and what else was lost is found soon.

    At most every ten minutes, however many contradictions come.
    """
    org = await pushing(stand, channel, fingerprint_every="6h")
    org.advance(1_200)
    fault = await lose_pushes(org)
    lost = org.create("Lead", 2)
    await org.simulated.control(f"faults?id={fault}", method="DELETE")
    org.advance(120)
    org.update("Lead", lost[:1], Title="never heard of")
    await org.pushed()
    await org.parts.readers.repair.step()
    known = {row["Id"] for row in org.sql("SELECT Id FROM Lead")}
    assert lost[0] in known
    assert lost[1] not in known
    await org.parts.services.checks.step()
    assert lost[1] in {row["Id"] for row in org.sql("SELECT Id FROM Lead")}
    assert await org.equal("Lead") == 42
    fault = await lose_pushes(org)
    lost = org.create("Lead", 1)
    await org.simulated.control(f"faults?id={fault}", method="DELETE")
    org.advance(120)
    org.update("Lead", lost, Title="never heard of either")
    await org.pushed()
    before = await org.calls()
    await org.parts.services.checks.step()
    assert await org.cost(before) == 0
    org.advance(600)
    await org.parts.services.checks.step()
    assert await org.cost(before) > 0
