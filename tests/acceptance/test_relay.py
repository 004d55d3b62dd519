"""A relay that passes nothing on is named with its remedy by status, dashboard and alert, the mirror right.

Each within `silence_after` and a minute, whatever the scheduled heartbeat does meanwhile. The package's posts
and its published documents pass the same relay; Change Data Capture has none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from rtsd.control.verdict import fresh
from rtsd.core.mode import Mode
from rtstui.meaning import notice
from rtstui.state import LinkStatus, Phase, State
from tests.support.inprocess.channels import connect, where_signed, where_signed_in_time
from tests.support.inprocess.stand import Stand, Standing

MINUTE_S = 60
SILENCE_MIN = 30
BEAT_MIN = 15
ALERT = """
[[alerts]]
name = "pager"
on = ["silent", "unreachable"]
resolved = true
[alerts.command]
argv = ["/bin/true"]
"""
RESUME = "Setup → Platform Events → RTS Change → Manage: Resume, or run `rtsd package deploy`."

Fault = Callable[[Stand], Awaitable[None]]


async def set_trigger(org: Stand, status: str) -> None:
    """Activate or deactivate the event's trigger."""
    (trigger,) = [row["Id"] for row in org.org.snapshot("ApexTrigger") if row["Name"] == "RTS_Change_Event"]
    await org.simulated.dml("update", "ApexTrigger", rows=[{"Id": trigger, "Status": status}])


async def set_user(org: Stand, *, active: bool) -> None:
    """Activate or deactivate the user as whom the relay runs, who is not rtsd's."""
    (config,) = org.org.snapshot("PlatformEventSubscriberConfig")
    niamh = next(row["Id"] for row in org.org.snapshot("User") if row["FirstName"] == "Niamh")
    runs_as = {"Id": config["Id"], "UserId": niamh}
    await org.simulated.dml("update", "PlatformEventSubscriberConfig", rows=[runs_as])
    await org.simulated.dml("update", "User", rows=[{"Id": niamh, "IsActive": active}])


async def suspend(org: Stand) -> None:
    """An administrator suspends the subscription."""
    await org.simulated.control("package/relay", {"action": "suspend"})


async def exhaust(org: Stand) -> None:
    """Its retries are used up."""
    await org.simulated.control("package/relay", {"action": "exhaust_retries", "message": "UNABLE_TO_LOCK"})


async def deactivate_trigger(org: Stand) -> None:
    """The event's trigger becomes inactive."""
    await set_trigger(org, "Inactive")


async def deactivate_user(org: Stand) -> None:
    """The relay's user is deactivated, and its events get lost."""
    await set_user(org, active=False)


async def deactivate_user_and_suspend(org: Stand) -> None:
    """The relay's user is deactivated, and Salesforce suspends the subscription."""
    await org.simulated.control("switches", {"inactive_relay_user": "suspends"})
    await set_user(org, active=False)


async def refuse(org: Stand) -> None:
    """Events are refused."""
    await org.simulated.fault("publish_refused", message="LIMIT_EXCEEDED: events of this hour")


FAULTS: list[tuple[Fault, str, str]] = [
    (suspend, "is suspended: nothing is pushed", RESUME),
    (exhaust, "stopped after errors (UNABLE_TO_LOCK)", RESUME),
    (deactivate_trigger, "is not active: nothing is pushed", "Run `rtsd package deploy`."),
    (deactivate_user, "The relay's user, niamh@acme.example, is deactivated", "rtsd package deploy"),
    (deactivate_user_and_suspend, "The relay's user, niamh@acme.example, is deactivated", "Activate"),
]
REFUSED = (refuse, "Salesforce refuses the package's events", "HourlyPublishedPlatformEvents")


async def pushing(stand: Standing, channel: str) -> Stand:
    """Leads, loaded; a push and a heartbeat have come through the relay, a minute ago."""
    org = await (await stand({"Lead": 40}, channel=channel, silence_after="30m", more=ALERT)).loaded()
    await connect(org, "Lead")
    org.advance(10)
    org.update("Lead", org.ids("Lead")[:1], Title="the channel works")
    await org.pushed()
    await org.beat()
    relay = (await org.parts.views.status()).package.relay
    assert relay is not None
    assert (relay.status, relay.problem) == ("Running", None)
    assert relay.proven_at is not None
    await minute(org, 1, beats=False)
    assert org.parts.channel.mode.mode is Mode.REAL_TIME
    return org


async def minute(org: Stand, number: int, *, beats: bool) -> None:
    """Let a minute pass, with what the daemon's loops do in it."""
    services = org.parts.services
    assert services.package_probe is not None
    org.advance(MINUTE_S)
    if beats and number % BEAT_MIN == 0:
        await org.beat()
    await services.silence_watch.step()
    await services.package_probe.step()
    if number % 5 == 0 or services.interval_sync.wake.is_set():
        services.interval_sync.wake.clear()
        await services.interval_sync.step()
    await services.alerts.check()


async def until_named(org: Stand, what: str, *, beats: bool) -> int:
    """Let minutes pass until status names the problem; return how many, at most silence_after and one."""
    for number in range(2, SILENCE_MIN + 2):
        await minute(org, number, beats=beats)
        if any(what in problem.what for problem in (await org.parts.views.status()).package.problems):
            await (
                org.parts.services.alerts.check()
            )  # a second later at most; a stamp may have come in between
            return number - 1
    raise AssertionError("nothing named it in time")


async def alerts(org: Stand) -> list[str]:
    """The messages of the alerts so far."""
    return [event.message or "" for event in await org.journal("rule")]


async def dashboard(org: Stand) -> str:
    """The first thing that the dashboard says, and its verdict on freshness."""
    status = await org.parts.views.status()
    state = State(now=lambda: datetime.now(UTC), link=LinkStatus(Phase.LIVE), status=status)
    said, role = notice(state) or ("", "")
    verdict = fresh(status, datetime.now(UTC))
    assert role == verdict.role == "warn"
    assert verdict.tiny == "relay down"
    return said


def named(fault: Fault, took: int, *, beats: bool) -> str:
    """What was measured: minutes until status, dashboard and alert name the fault."""
    beat = "heartbeat alive" if beats else "no heartbeat"
    return f"relay: {fault.__name__}, {beat}: named by status, dashboard and alert after {took} min"


async def is_named(org: Stand, what: str, remedy: str) -> None:
    """Status, dashboard and alert name the problem with what to do."""
    package = (await org.parts.views.status()).package
    assert package.relay is not None
    assert package.relay.problem is not None
    assert what in package.relay.problem.what
    assert remedy in package.relay.problem.do
    assert package.relay.problem in package.problems
    said = await dashboard(org)
    assert what in said
    assert remedy in said
    (alert,) = await alerts(org)
    assert alert.startswith("alert silent fired: ")
    assert what in alert
    assert remedy in alert
    noted = [event.message or "" for event in await org.journal("package")]
    assert any(what in message and remedy in message for message in noted)


@where_signed_in_time
@pytest.mark.parametrize("beats", [True, False], ids=["heartbeat alive", "no heartbeat"])
@pytest.mark.parametrize(("fault", "what", "remedy"), FAULTS)
async def test_a_relay_that_passes_nothing_on_is_named(
    fault: Fault,
    what: str,
    remedy: str,
    *,
    beats: bool,
    stand: Standing,
    channel: str,
    measured: Callable[[str], None],
) -> None:
    """Within silence_after and a minute, with its remedy; the changes come by Interval Sync meanwhile."""
    org = await pushing(stand, channel)
    await fault(org)
    org.update("Lead", org.ids("Lead")[:7], Title="nobody hears this")
    took = await until_named(org, what, beats=beats)
    assert took <= SILENCE_MIN + 1
    await is_named(org, what, remedy)
    status = await org.parts.views.status()
    assert (status.mode, status.push.quiet) == ("interval", "silent")
    assert await org.equal("Lead") == 40
    measured(named(fault, took, beats=beats))
    for number in range(took + 2, took + 20):
        await minute(org, number, beats=beats)
    assert (await org.parts.views.status()).push.quiet == "silent"
    await is_named(org, what, remedy)
    assert (await org.parts.views.status()).push.missed_24h == 7
    assert await org.equal("Lead") == 40


@where_signed_in_time
async def test_refused_events_are_named_while_some_changes_leave_by_jobs(
    stand: Standing, channel: str, measured: Callable[[str], None]
) -> None:
    """A save starts a few senders itself, so pushes come: every object is read all the same."""
    org = await pushing(stand, channel)
    fault, what, remedy = REFUSED
    await fault(org)
    took = await until_named(org, what, beats=True)
    assert took <= SILENCE_MIN + 1
    await is_named(org, what, remedy)
    assert await org.equal("Lead") == 40
    measured(named(fault, took, beats=True))
    assert org.parts.channel.mode.mode is Mode.INTERVAL
    org.update("Lead", org.ids("Lead")[:7], Title="sent by a job")
    await org.pushed()
    assert org.parts.channel.mode.mode is Mode.REAL_TIME, "a push proves that push works"
    await org.simulated.fault("push_lost")
    org.update("Lead", org.ids("Lead")[7:9], Title="shed")
    for number in range(16, 22):
        await minute(org, number, beats=True)
    assert await org.equal("Lead") == 40
    await is_named(org, what, remedy)
    await org.simulated.control("faults", method="DELETE")
    await org.beat()
    await minute(org, 22, beats=False)
    assert (await org.parts.views.status()).package.problems == _others(org)


def _others(org: Stand) -> list[object]:
    """The problems that this org has anyway: it pushes to the gateway of the test."""
    from rtsd.control.wire import problems

    assert org.parts.channel.package is not None
    return [
        problem for problem in problems(org.parts.channel.package.problems()) if "relay" not in problem.what
    ]


@where_signed
async def test_an_idle_org_with_a_suspended_relay_is_not_green(stand: Standing, channel: str) -> None:
    """Nothing was missed yet, and nothing can arrive: silent, not idle."""
    org = await pushing(stand, channel)
    await suspend(org)
    await until_named(org, "is suspended", beats=True)
    push = (await org.parts.views.status()).push
    assert (push.quiet, push.missed_24h) == ("silent", 0)
    assert "nothing was missed yet" in (push.quiet_proof or "")


@where_signed_in_time
async def test_heartbeats_of_an_older_package_hide_nothing(stand: Standing, channel: str) -> None:
    """They come by another way: the org is asked, once for each silence_after."""
    org = await pushing(stand, channel)
    await org.simulated.control("switches", {"heartbeat_by_relay": False})
    await suspend(org)
    assert await until_named(org, "is suspended", beats=True) <= SILENCE_MIN + 1
    await is_named(org, "is suspended", RESUME)


@where_signed
@pytest.mark.parametrize("action", ["resume", "resume_from_tip"])
async def test_a_resumed_relay_leads_back_to_real_time(action: str, stand: Standing, channel: str) -> None:
    """The next heartbeat proves the way; what was missed meanwhile is explained, and read."""
    org = await pushing(stand, channel)
    await suspend(org)
    org.update("Lead", org.ids("Lead")[:7], Title="missed")
    await until_named(org, "is suspended", beats=True)
    await org.simulated.control("package/relay", {"action": action})
    await org.pushed()
    await org.beat()
    status = await org.parts.views.status()
    assert status.package.relay is not None
    assert (status.mode, status.package.relay.problem) == ("real_time", None)
    for number in range(16, 16 + 2 * SILENCE_MIN):
        await minute(org, number, beats=True)
    status = await org.parts.views.status()
    assert (status.mode, status.push.quiet) == ("real_time", "idle")
    assert [message.partition(":")[0] for message in await alerts(org)] == [
        "alert silent fired",
        "alert silent resolved",
    ]
    assert await org.equal("Lead") == 40


@where_signed
async def test_a_disabled_package_has_no_silent_relay(stand: Standing, channel: str) -> None:
    """While nothing is to be pushed it alarms nobody; enabled again, it is named at once."""
    org = await pushing(stand, channel)
    await suspend(org)
    await until_named(org, "is suspended", beats=True)
    await org.simulated.control("package/settings", {"Disable_RTS__c": True})
    await org.beat()
    await minute(org, 16, beats=False)
    status = await org.parts.views.status()
    assert (status.mode, status.push.quiet) == ("disabled", "unknown")
    assert status.push.quiet_proof == "no push is expected: no package is enabled"
    assert (await alerts(org))[-1].startswith("alert silent resolved")
    await org.simulated.control("package/settings", {"Disable_RTS__c": False})
    await org.beat()
    await minute(org, 17, beats=False)
    status = await org.parts.views.status()
    assert (status.mode, status.push.quiet) == ("interval", "silent")
    assert "is suspended" in (status.push.quiet_proof or "")


@where_signed_in_time
async def test_an_inactive_trigger_behind_a_resumed_relay_is_still_found(
    stand: Standing, channel: str
) -> None:
    """A heartbeat proves the relay, not that an object's changes reach it."""
    org = await pushing(stand, channel)
    await suspend(org)
    await until_named(org, "is suspended", beats=True)
    await org.simulated.control("package/relay", {"action": "resume_from_tip"})
    await org.beat()
    await org.simulated.fault("push_lost", count=10_000)
    org.advance(MINUTE_S)
    org.update("Lead", org.ids("Lead")[:3], Title="its trigger is dead")
    for number in range(16, 16 + 2 * SILENCE_MIN):
        await minute(org, number, beats=True)
    push = (await org.parts.views.status()).push
    assert push.quiet == "silent"
    assert (push.quiet_proof or "").startswith("no push delivered 3 changes")


@where_signed_in_time
async def test_a_relay_that_runs_as_rtsds_own_user_takes_the_login_with_it(
    stand: Standing, channel: str
) -> None:
    """Deactivated, rtsd cannot log in: unreachable, with the reason, within silence_after and a minute."""
    org = await pushing(stand, channel)
    sync_user = org.org.sync_user.user_id
    await org.simulated.dml("update", "User", rows=[{"Id": sync_user, "IsActive": False}])
    runner, services = org.parts.runner, org.parts.services
    for number in range(2, SILENCE_MIN + 2):
        org.advance(MINUTE_S)
        await services.silence_watch.step()
        if number % 5 == 0 or services.interval_sync.wake.is_set():
            services.interval_sync.wake.clear()
            await runner.step(services.interval_sync)
        await services.alerts.check()
    status = await org.parts.views.status()
    assert status.mode == "unreachable"
    assert "inactive" in (status.org.error or "")
    (alert,) = await alerts(org)
    assert alert.startswith("alert unreachable fired")
    assert "inactive" in alert
    state = State(now=lambda: datetime.now(UTC), link=LinkStatus(Phase.LIVE), status=status)
    said, role = notice(state) or ("", "")
    assert role in ("warn", "error")
    assert "inactive" in said


@where_signed_in_time
async def test_a_healthy_relay_costs_no_call(stand: Standing, channel: str) -> None:
    """Heartbeats prove it: of the package only its conditions are read, once in an hour."""
    org = await pushing(stand, channel)
    await minute(org, 1, beats=True)
    before, ledger = await org.calls(), (await org.parts.views.status()).quota.calls_24h["package"]
    for number in range(2, 2 + 6 * 60):
        await minute(org, number, beats=True)
    assert (await org.parts.views.status()).quota.calls_24h["package"] - ledger == 6
    spent = await org.calls() - before
    assert spent["tooling_query"] == 0
