"""The simulated Pub/Sub API on real gRPC: topics, flow control, replay, errors with their codes."""

from __future__ import annotations

import grpc
import pytest

from rtsd.stream import pubsub_pb2 as pb
from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api
from tests.support.rtssim.pubsub import (
    SELECT,
    TOPIC,
    BusClient,
    Stream,
    code_of,
    contacts,
    edit,
    listening,
    select,
)
from tests.support.waiting import eventually

HOURS = 3_600


async def test_topics(streaming: SimulatedOrg, bus: BusClient) -> None:
    """A topic of one object has a schema, one of several has none; others do not exist."""
    channel, single = await bus.topic(TOPIC), await bus.topic("/data/ContactChangeEvent")
    assert (channel.schema_id, channel.can_subscribe, channel.tenant_guid) == (
        "",
        True,
        streaming.info["org_id"],
    )
    assert '"name": "ContactChangeEvent"' in (await bus.schema(single.schema_id)).schema_json
    await streaming.control("package/install", {"channel": "stream"})
    assert (await bus.topic("/event/RTS_Push__e")).can_publish
    for name, code in {
        "/data/AccountChangeEvent": "topic.not.found",  # not selected
        "/event/rts_push__e": "topic.not.found",  # names are case-sensitive
        "": "topic.validation.empty",
    }.items():
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bus.topic(name)
        assert code_of(caught.value) == ("NOT_FOUND", code)


async def test_at_most_five_objects_are_selected(
    streaming: SimulatedOrg, streaming_api: Api, bus: BusClient
) -> None:
    """Without the add-on; a selected one can be taken back, and Salesforce's tables list them."""
    statuses = [
        (await select(streaming_api, name))[0]
        for name in ("Account", "Lead", "Task", "Invoice__c", "Campaign")
    ]
    assert statuses == [201, 201, 201, 201, 400]
    await streaming.control("switches", {"cdc_add_on": True})
    assert (await select(streaming_api, "Campaign"))[0] == 201
    found = await streaming_api.get(
        "/services/data/v66.0/tooling/query",
        params={"q": "SELECT Id FROM PlatformEventChannelMember WHERE SelectedEntity = 'LeadChangeEvent'"},
    )
    (member,) = found["records"]
    assert (await bus.topic("/data/LeadChangeEvent")).can_subscribe
    status, _, _ = await streaming_api.call("DELETE", f"{SELECT}/{member['Id']}")
    assert status == 204
    with pytest.raises(grpc.aio.AioRpcError, match="No such topic"):
        await bus.topic("/data/LeadChangeEvent")


async def test_wrong_headers_and_an_ended_session(streaming: SimulatedOrg, bus: BusClient) -> None:
    """Each with its code; a running stream ends with its session, or does not."""
    stream = await listening(streaming, bus)
    await streaming.control("switches", {"session_end_ends_streams": False})
    await streaming.control("sessions/expire")
    await edit(streaming, (await contacts(streaming))[0], Title="a")
    assert len((await stream.response()).events) == 1
    await streaming.control("switches", {"session_end_ends_streams": True})
    assert await stream.ended() == ("UNAUTHENTICATED", "service.auth.error")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bus.topic(TOPIC)
    assert code_of(caught.value) == ("UNAUTHENTICATED", "service.auth.error")
    bus.metadata = (*bus.metadata[:2], ("tenantid", streaming.info["org_id"][:15]))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bus.topic(TOPIC)
    assert code_of(caught.value) == ("UNAUTHENTICATED", "service.auth.headers.invalid")


async def test_events_come_up_to_the_credit(streaming: SimulatedOrg, bus: BusClient) -> None:
    """Credit adds up; each response says how much is left; without any the stream waits, then closes."""
    await streaming.control("switches", {"same_changes_merge": False, "credit_timeout_s": 0.3})
    stream = await listening(streaming, bus, count=2)
    for record_id in (await contacts(streaming))[:5]:
        await edit(streaming, record_id, Title="b")
    first = await stream.response()
    second = first if len(first.events) == 2 else await stream.response()
    assert second.pending_num_requested == 0
    await stream.ask(3)
    assert len(await stream.events(3)) == 3
    assert await stream.ended() == ("OK", "")


async def test_credit_is_at_most_a_hundred(streaming: SimulatedOrg, bus: BusClient) -> None:
    """More is cut off, not refused; nothing and less are mistakes, as another topic and haste are."""
    await streaming.control("switches", {"keepalive_s": 0.1})
    stream = await listening(streaming, bus)
    await stream.ask(80)
    await eventually(lambda: _has_credit(stream, 100), "credit of 100")
    await stream.ask(1, topic="/data/ContactChangeEvent")
    assert await stream.ended() == ("INVALID_ARGUMENT", "subscription.fetch.topic.mismatch")
    stream = await listening(streaming, bus)
    await stream.ask(0)
    assert await stream.ended() == ("INVALID_ARGUMENT", "subscription.fetch.requested.events.invalid")
    await streaming.control("switches", {"fetches_per_s": 3})
    stream = await listening(streaming, bus)
    for _ in range(4):
        await stream.ask(1)
    assert await stream.ended() == ("UNAVAILABLE", "service.protection.stream.limit.triggered")


async def _has_credit(stream: Stream, credit: int) -> bool:
    return (await stream.response()).pending_num_requested == credit


async def test_a_keepalive_is_a_position_to_resume_from(streaming: SimulatedOrg, bus: BusClient) -> None:
    """An empty response with an id; events after it are delivered, those before are not."""
    await streaming.control("switches", {"keepalive_s": 0.1})
    stream = await listening(streaming, bus)
    idle = await stream.response()
    assert list(idle.events) == []
    stream.call.cancel()
    first, second = (await contacts(streaming))[:2]
    await edit(streaming, first, Title="c")
    await edit(streaming, second, Title="d")
    stream = await bus.subscribe(TOPIC, preset=pb.CUSTOM, replay_id=idle.latest_replay_id)
    events = await stream.events(2)
    assert [event["Title"] for event in events] == ["c", "d"]
    again = await bus.subscribe(TOPIC, preset=pb.CUSTOM, replay_id=events[0]["_replay_id"])
    assert [event["Title"] for event in await again.events(1)] == ["d"]
    earliest = await bus.subscribe(TOPIC, preset=pb.EARLIEST)
    assert len(await earliest.events(2)) == 2


@pytest.mark.parametrize("lost_by", ["time", "move", "damage", "omission"])
async def test_a_replay_id_that_is_no_use(streaming: SimulatedOrg, bus: BusClient, lost_by: str) -> None:
    """Older than 72 hours, from before a move, damaged, or missing."""
    stream = await listening(streaming, bus)
    await edit(streaming, (await contacts(streaming))[0], Title="e")
    replay_id = (await stream.events(1))[0]["_replay_id"]
    if lost_by == "time":
        await streaming.control("clock", {"advance": 71 * HOURS})
        stream = await bus.subscribe(TOPIC, preset=pb.CUSTOM, replay_id=replay_id)
        await edit(streaming, (await contacts(streaming))[1], Title="f")
        assert len(await stream.events(1)) == 1
        await streaming.control("clock", {"advance": 2 * HOURS})
    elif lost_by == "move":
        await streaming.control("bus/move")
    else:
        replay_id = replay_id[:-1] if lost_by == "damage" else b""
    stream = await bus.subscribe(TOPIC, preset=pb.CUSTOM, replay_id=replay_id)
    code = "validation.failed" if lost_by == "omission" else "corrupted"
    assert await stream.ended() == ("INVALID_ARGUMENT", f"subscription.fetch.replayid.{code}")


async def test_late_purge(streaming: SimulatedOrg, bus: BusClient) -> None:
    """Events may be kept longer than promised."""
    await streaming.control("switches", {"late_purge_h": 5})
    await edit(streaming, (await contacts(streaming))[0], Title="g")
    await streaming.control("clock", {"advance": 75 * HOURS})
    stream = await bus.subscribe(TOPIC, preset=pb.EARLIEST)
    assert len(await stream.events(1)) == 1


async def test_deliveries_are_counted_and_run_out(
    streaming: SimulatedOrg, streaming_api: Api, bus: BusClient
) -> None:
    """For every subscriber; beyond the allocation streams end and none opens."""
    await streaming.control("limits", {"DailyDeliveredPlatformEvents": 4})
    first, second = await listening(streaming, bus), await listening(streaming, bus)
    for number in range(2):
        await edit(streaming, (await contacts(streaming))[number], Title="h")
        await first.events(1)
        await second.events(1)
    limits = await streaming_api.get("/services/data/v66.0/limits")
    assert limits["DailyDeliveredPlatformEvents"] == {"Max": 4, "Remaining": 0}
    await edit(streaming, (await contacts(streaming))[2], Title="i")
    assert (await first.ended())[1] == "subscription.limit.exceeded"
    assert (await (await bus.subscribe(TOPIC)).ended())[1] == "subscription.limit.exceeded"
    await streaming.control("clock", {"advance": 25 * HOURS})
    await listening(streaming, bus)


async def test_without_the_right_events_are_refused_or_left_out(
    streaming: SimulatedOrg, bus: BusClient
) -> None:
    """A single object's topic is refused; a channel leaves its events out without a word."""
    stream = await listening(streaming, bus)
    await streaming.control("visibility", {"view_all": False})
    await edit(streaming, (await contacts(streaming))[0], Title="j")
    await streaming.control("visibility", {"view_all": True})
    await edit(streaming, (await contacts(streaming))[1], Title="k")
    titles = [event["Title"] for event in await stream.events(1)]
    assert titles in (["j"], ["k"])  # the right is read at delivery
    await streaming.control("visibility", {"view_all": False})
    refused = await bus.subscribe("/data/ContactChangeEvent")
    assert await refused.ended() == ("NOT_FOUND", "subscription.topic.cannot.subscribe")


async def test_streams_break_as_told(streaming: SimulatedOrg, bus: BusClient) -> None:
    """With a code, without one, or by silence; calls too; and an org has so many streams."""
    stream = await listening(streaming, bus)
    await streaming.fault("rpc_error", count=1, path="/Subscribe", code="subscription.internal.error")
    assert await stream.ended() == ("INTERNAL", "subscription.internal.error")
    stream = await listening(streaming, bus)
    await streaming.fault("rpc_broken", count=1, path="/Subscribe")
    assert await stream.ended() == ("UNAVAILABLE", "")
    await streaming.fault("rpc_error", count=1, path="/GetSchema", code="schema.api.unavailable")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bus.schema("anything")
    assert code_of(caught.value) == ("UNAVAILABLE", "schema.api.unavailable")
    await streaming.control("switches", {"most_streams": 1})
    await listening(streaming, bus)
    assert (await (await bus.subscribe(TOPIC)).ended())[1] == "concurrent.client.limit.exceeded"
