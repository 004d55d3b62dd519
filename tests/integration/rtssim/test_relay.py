"""The relay: events wait while its subscription is suspended, get lost without it, and heartbeats say so."""

from __future__ import annotations

from typing import Any

import pytest

from rtsd.apex import metadata_zip
from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Deploy, Gateway

SUBSCRIBER = "SELECT Name, Topic, Type, Status, LastError, Retries, {} FROM EventBusSubscriber"
FIFTEEN_MINUTES = 900


async def act(org: SimulatedOrg, action: str, **more: Any) -> dict[str, Any]:
    """An administrator's action on the subscription."""
    return dict(await org.control("package/relay", {"action": action, **more}))


async def beat(org: SimulatedOrg, gateway: Gateway) -> dict[str, Any] | None:
    """Run the scheduled job; return what the heartbeat says of the relay."""
    before = len(gateway.pushes)
    await org.control("clock", {"advance": FIFTEEN_MINUTES})
    if (await org.control("package/heartbeat"))["status"] is None:
        return None
    pushes = await gateway.wait(before + 1)
    return dict(pushes[-1]["relay"])


async def set_trigger(org: SimulatedOrg, status: str) -> None:
    """Activate or deactivate the event's trigger."""
    (trigger,) = [row["Id"] async for row in org.rows("ApexTrigger") if row["Name"] == "RTS_Change_Event"]
    await org.dml("update", "ApexTrigger", rows=[{"Id": trigger, "Status": status}])


async def set_relay_user(org: SimulatedOrg, *, active: bool) -> None:
    """Activate or deactivate the user as whom the relay runs."""
    (config,) = [row async for row in org.rows("PlatformEventSubscriberConfig")]
    await org.dml("update", "User", rows=[{"Id": config["UserId"], "IsActive": active}])


async def test_a_heartbeat_takes_the_way_of_the_changes(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """The event, the relay and its job: the heartbeat says that it was relayed; the status row is written."""
    relay = await beat(pushing, gateway)
    assert relay is not None
    assert (relay["relayed"], relay["status"], relay["tip"]) == (True, "Running", "-1")
    assert int(relay["position"]) == 1
    (row,) = [row async for row in pushing.rows("RTS_Status__c")]
    assert row["Key__c"] == pushing.info["org_id"]
    assert row["Last_Answer__c"].startswith("HTTP 200")


async def subscribers(api: Api, soql: str, version: str) -> list[dict[str, Any]]:
    """Query with an API version."""
    found = await api.get(f"/services/data/v{version}/query", params={"q": soql})
    return list(found["records"])


async def test_the_subscription_can_be_queried(pushing: SimulatedOrg, api: Api) -> None:
    """By the fields of the API version; an inactive trigger is not listed."""
    new, old = SUBSCRIBER.format("LastProcessed, LastPublished"), SUBSCRIBER.format("Position, Tip")
    (row,) = await subscribers(api, new, "66.0")
    assert (row["Name"], row["Topic"], row["Status"]) == ("RTS_Change_Event", "RTS_Change__e", "Running")
    assert (row["LastProcessed"], row["LastPublished"]) == ("0", "-1")
    (row,) = await subscribers(api, old, "62.0")
    assert (row["Position"], row["Tip"]) == (0, -1)
    for soql, version in ((new, "65.0"), (old, "66.0")):
        status, _, error = await api.call("GET", f"/services/data/v{version}/query", params={"q": soql})
        assert (status, error[0]["errorCode"]) == (400, "INVALID_FIELD")
    await pushing.control("switches", {"old_subscriber_fields": True})
    assert len(await subscribers(api, old, "66.0")) == 1
    await set_trigger(pushing, "Inactive")
    assert await subscribers(api, new, "66.0") == []


async def test_a_suspended_relay_keeps_events_for_72_hours(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """Resumed, it continues where it stopped; from the tip, with new events only."""
    assert (await act(pushing, "suspend"))["status"] == "Suspended"
    await pushing.dml("create", "Account", rows=[{"Name": "too old"}])
    await pushing.control("clock", {"advance": 73 * 3_600})
    await pushing.dml("create", "Account", rows=[{"Name": "waits"}])
    await pushing.control("package/drain")
    assert gateway.pushes == []
    await act(pushing, "resume")
    (push,) = await gateway.wait(1)
    assert push["changes"][0]["fields"]["Name"] == "waits"
    await act(pushing, "exhaust_retries", message="no luck")
    await pushing.dml("create", "Account", rows=[{"Name": "skipped"}])
    await act(pushing, "resume_from_tip")
    await pushing.dml("create", "Account", rows=[{"Name": "new"}])
    pushes = await gateway.wait(2)
    assert pushes[1]["changes"][0]["fields"]["Name"] == "new"


async def test_a_stopped_relay_is_told_by_the_heartbeat_itself(
    pushing: SimulatedOrg, gateway: Gateway
) -> None:
    """The scheduled job sends it then: suspended, stopped after errors, inactive."""
    await act(pushing, "suspend")
    relay = await beat(pushing, gateway)
    assert relay is not None
    assert (relay["relayed"], relay["status"]) == (False, "Suspended")
    await act(pushing, "exhaust_retries", message="UNABLE_TO_LOCK_ROW")
    relay = await beat(pushing, gateway)
    assert relay is not None
    assert (relay["status"], relay["last_error"]) == ("Error", "UNABLE_TO_LOCK_ROW")
    await act(pushing, "resume_from_tip")
    await set_trigger(pushing, "Inactive")
    relay = await beat(pushing, gateway)
    assert relay is not None
    assert (relay["relayed"], relay["status"]) == (False, "Missing")
    await set_trigger(pushing, "Active")
    relay = await beat(pushing, gateway)
    assert relay is not None
    assert (relay["relayed"], relay["unanswered_since"]) == (True, None)


@pytest.mark.parametrize("switch", ["fails", "suspends"])
async def test_a_relay_whose_user_is_deactivated(
    switch: str, pushing: SimulatedOrg, gateway: Gateway
) -> None:
    """What happens then is not documented: events get lost, or the subscription is suspended."""
    await pushing.control("switches", {"inactive_relay_user": switch})
    await set_relay_user(pushing, active=False)
    await pushing.dml("create", "Account", rows=[{"Name": "unheard"}])
    await pushing.control("package/drain")
    assert gateway.pushes == []
    first = await beat(pushing, gateway)
    if switch == "fails":
        assert first is None, "nothing tells it from an event under way"
        second = await beat(pushing, gateway)
        assert second is not None
        assert (second["relayed"], second["status"]) == (False, "Running")
        assert second["unanswered_since"] is not None
    else:
        assert first is not None
        assert (first["relayed"], first["status"]) == (False, "Suspended")


async def test_a_relay_runs_as_an_active_user_only(
    org: SimulatedOrg, deploy: Deploy, gateway: Gateway
) -> None:
    """Any other is refused (Platform Events Guide, Configure the User and Batch Size)."""
    username = str(org.info["username"])
    result = await deploy(metadata_zip(["Contact"], gateway.url, "62.0", run_as="nobody@acme.example"))
    (failure,) = result["details"]["componentFailures"]
    assert failure["problem"] == "In field: user - no User named nobody@acme.example found"
    assert (await deploy(metadata_zip(["Contact"], gateway.url, "62.0", run_as=username)))["success"]
    (config,) = [row async for row in org.rows("PlatformEventSubscriberConfig")]
    assert (config["DeveloperName"], config["BatchSize"]) == ("RTS_Change_Event", 200)
    (user,) = [row["Username"] async for row in org.rows("User") if row["Id"] == config["UserId"]]
    assert user == username


async def test_refused_events_leave_by_a_few_jobs(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """A save starts ten senders itself; more changes are shed, and the error log says so."""
    fault = await pushing.fault("publish_refused", message="LIMIT_EXCEEDED: hourly events")
    relay = await beat(pushing, gateway)
    assert relay is not None
    assert (relay["relayed"], relay["refused"]) == (False, "LIMIT_EXCEEDED: hourly events")
    await pushing.dml("create", "Account", rows=[{"Name": str(number)} for number in range(2_100)])
    await gateway.wait(11)
    await pushing.control("package/drain")
    stats = (await pushing.stats())["pushes"]
    assert (stats["changes"], stats["shed"]) == (2_000, 100)
    (row,) = [row async for row in pushing.rows("RTS_Error__c")]
    assert row["Message__c"] == "Not pushed: the event was not taken: LIMIT_EXCEEDED: hourly events"
    await pushing.control(f"faults?id={fault}", method="DELETE")
    relay = await beat(pushing, gateway)
    assert relay is not None
    assert (relay["relayed"], relay["refused"]) == (True, None)


async def test_heartbeats_of_older_packages(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """A scheduled job sends them whatever the relay does, and they say nothing of it."""
    await pushing.control("switches", {"heartbeat_by_relay": False})
    await act(pushing, "suspend")
    assert await pushing.control("package/heartbeat") == {"status": 200}
    (beat_,) = await gateway.wait(1)
    assert "relay" not in beat_
