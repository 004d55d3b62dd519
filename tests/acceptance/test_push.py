"""Push that dies quietly, and what its events mean: nothing is believed that was not seen to arrive.

The same cases for each push channel, but for what a channel does not have. Cases 16 to 18 are told of
streaming clients. Signed posts have no subscription and no replay id: what can hang, go stale or loop there
is an answer, a receiver and a window.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

from rtsd.core.mode import Mode
from rtsd.stream.subscriber import Patience
from tests.support.inprocess.channels import (
    BUSES,
    connect,
    lose_pushes,
    on_every_channel,
    on_the_bus,
    send,
    where_signed,
    where_signed_in_time,
)
from tests.support.inprocess.pushes import document, push, settle, signed
from tests.support.inprocess.stand import TOKEN, Row, Stand, Standing
from tests.support.stream.following import responded

HEARTBEAT_S = 900
HOUR_S = 3_600
DAY_S = 24 * HOUR_S


def on_request(*values: object) -> Any:
    """More of the same, for a machine that has the time."""
    return pytest.param(*values, marks=pytest.mark.slow)


async def test_ac_16_an_answer_that_never_comes(stand: Standing) -> None:
    """The sender hangs up before it has the answer, and sends again: taken twice, applied once."""
    org = await (await stand({"Lead": 20}, listen="127.0.0.1:0")).loaded()
    assert org.parts.gateway is not None
    (lead,) = org.ids("Lead")[:1]
    org.advance(60)
    org.update("Lead", [lead], Title="said once")
    (row,) = [row for row in org.org.snapshot("Lead") if row["Id"] == lead]
    body = document(org, [{"object": "Lead", "op": "update", "id": lead, "modstamp": row["SystemModstamp"]}])
    async with org.taking():
        assert org.parts.gateway is not None
        host, _, port = (org.parts.gateway.address or "").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "".join(f"{name}: {value}\r\n" for name, value in signed(org, body, "msg_16").items())
        writer.write(
            f"POST /v1/push HTTP/1.1\r\nHost: rts\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode()
        )
        writer.write(body)
        await writer.drain()
        assert (await reader.read(12)).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
        again = await push(org, body, "msg_16")
    assert again == {"status": 200, "accepted": 0, "duplicate": True}
    await settle(org)
    events = [event for event in await org.journal("change") if event.id == lead]
    assert len(events) == 2  # asked for, fetched
    assert await org.equal("Lead") == 20


@on_the_bus
async def test_ac_16_a_stream_that_falls_silent(
    stand: Standing, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    """An open stream without responses is given up, and the next one brings what the bus kept."""
    monkeypatch.setattr("rtsd.stream.subscriber.Patience", partial(Patience, silence_s=0.4))
    org = await (await stand({"Lead": 20}, channel=channel)).loaded()
    await connect(org, "Lead")
    org.advance(60)
    await org.simulated.fault("rpc_silent", count=1)
    org.update("Lead", org.ids("Lead")[:3], Title="nobody is told")
    await org.pushed()
    (fault,) = (await org.simulated.control("faults", method="GET"))["faults"]
    assert fault["hits"] == 1
    await settle(org)
    assert await org.equal("Lead") == 20


@on_the_bus
async def test_ac_20_the_bus_kept_what_came_in_seventy_hours(stand: Standing, channel: str) -> None:
    """Gone for less than 72 hours: everything comes from the bus, and only partial rows are read, by id."""
    org = await stand({"Lead": 300, "Account": 10}, channel=channel)
    await org.loaded()
    await connect(org, "Lead", "Account")
    await org.beat()
    await org.parts.runner.step(org.parts.services.interval_sync)
    async with org.taking():
        await responded(org.parts, org.bus)
    await org.stop()
    ids = org.ids("Lead")
    for part in range(7):
        await pass_time(org, 10 * HOUR_S)
        org.update("Lead", ids[part * 20 : part * 20 + 20], Title=f"part {part}")
        org.create("Lead", 5, Title=f"part {part}")
        org.org.delete(org.org.admin, "Lead", ids[200 + part * 3 : 203 + part * 3])
    await org.simulated.control("package/drain", {})
    await org.start()
    before = await org.calls()
    await org.parts.runner.step(org.parts.services.interval_sync)
    async with org.taking():
        await responded(org.parts, org.bus)
    await settle(org)
    await org.parts.runner.step(org.parts.services.interval_sync)
    assert org.parts.channel.mode.mode is Mode.REAL_TIME
    spent = await org.calls() - before
    read_by_id = {"collection_read": 1} if channel == "cdc" else {}
    assert spent - Counter(limits=1, logins=1) == Counter(read_by_id)
    assert await org.equal("Lead") == 300 + 35 - 21
    assert [event for event in await org.journal("change") if event.source == "interval"] == []


async def pass_time(org: Stand, seconds: int) -> None:
    """Let time pass in an org whose package sends heartbeats."""
    for _ in range(seconds // HEARTBEAT_S):
        org.advance(HEARTBEAT_S)
        if org.channel == "stream":
            await org.simulated.control("package/heartbeat", {})


@on_every_channel
async def test_ac_17_18_20_after_four_days_nothing_is_lost(stand: Standing, channel: str) -> None:
    """The daemon is gone for four days: a bounded catch-up, journalled, no loop.

    Every retry of a post is used up, and the bus has forgotten where the stream was.
    """
    org = await stand({"Lead": 300}, channel=channel)
    await org.loaded()
    await connect(org, "Lead")
    await org.stop()
    ids = org.ids("Lead")
    for day in range(4):
        org.advance(DAY_S)
        org.update("Lead", ids[day * 20 : day * 20 + 20], Title=f"day {day}")
        org.create("Lead", 5, Title=f"day {day}")
        org.org.delete(org.org.admin, "Lead", ids[200 + day * 3 : 203 + day * 3])
    await org.simulated.control("package/drain", {})
    org.advance(600)
    before = await org.calls()
    await org.start()
    async with org.taking():
        await org.load()
    for _ in range(3):
        await org.read()
    assert await org.cost(before) <= 20
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 300 + 20 - 12
    said = [event.message for event in await org.journal("package")]
    lost = "every object is being read: Salesforce no longer knows the stream's position"
    assert (lost in said) is (channel in BUSES)
    caught = [event for event in await org.journal("change") if event.source == "interval"]
    assert {event.id for event in caught} >= {*ids[:80], *ids[200:212]}


async def test_ac_18_a_window_that_is_refused_is_not_asked_for_in_a_loop(stand: Standing) -> None:
    """The org refuses every query for an hour: a try every 30 seconds at most, then all is caught up."""
    org = await (await stand({"Lead": 50}, interval="30s")).loaded()
    org.advance(120)
    await org.read()
    org.update("Lead", org.ids("Lead")[:9], Title="while nobody could ask")
    await org.simulated.fault("api_disabled")
    before = await org.calls()
    for _ in range(120):
        org.advance(30)
        await org.parts.runner.step(org.parts.services.interval_sync)
    assert 0 < await org.cost(before) <= 120
    assert (await org.parts.views.status()).mode == "unreachable"
    await org.simulated.control("faults", method="DELETE")
    org.advance(600)
    await org.load()
    await org.read()
    assert await org.equal("Lead") == 50


@where_signed
async def test_ac_19_installed_is_not_live(stand: Standing, channel: str) -> None:
    """A package that signs with a wrong token is installed, and pushes nothing: that is not real time."""
    org = await (await stand({"Lead": 20}, channel=channel)).loaded()
    await connect(org, "Lead")
    await org.simulated.control("package/settings", {"Token__c": "a token of somebody else"})
    await org.probe_package()
    org.advance(60)
    org.update("Lead", org.ids("Lead")[:3], Title="signed wrongly")
    await org.pushed()
    await org.beat()
    status = await org.parts.views.status()
    assert org.parts.channel.mode.mode is not Mode.REAL_TIME
    assert (status.mode, status.push.last_at, status.push.rejected_24h > 0) == (status.mode, None, True)
    assert status.push.quiet != "live"
    await org.read()
    assert await org.equal("Lead") == 20
    await org.simulated.control("package/settings", {"Token__c": TOKEN})
    await org.beat()
    assert org.parts.channel.mode.mode is Mode.REAL_TIME


@on_every_channel
async def test_ac_22_changes_without_fields(stand: Standing, channel: str) -> None:
    """Ids without values, as of rows too large to send: fetched together, by one call."""
    org = await (await stand({"Lead": 60}, channel=channel)).loaded()
    await connect(org, "Lead", mute=True)
    org.advance(60)
    ids = org.ids("Lead")[:40]
    org.update("Lead", ids, Title="too large to send")
    bare = [{"object": "Lead", "op": "update", "id": record_id} for record_id in ids]
    async with org.taking():
        await send(org, bare, "msg_22")
    before = await org.calls()
    await settle(org)
    assert await org.cost(before) == 1
    assert await org.equal("Lead") == 60


@pytest.mark.parametrize(
    ("channel", "rows"), [("gateway", 5_000), ("stream", 1_000), ("cdc", 500), on_request("cdc", 5_000)]
)
async def test_ac_23_more_changes_than_can_be_sent(stand: Standing, channel: str, rows: int) -> None:
    """A load of 5,000 rows sheds its values: its ids cost four calls, and no other object a single one."""
    org = await (await stand({"Lead": 10, "Account": 30}, channel=channel)).loaded()
    await connect(org, "Lead", mute=True)
    org.advance(60)
    ids = org.create("Lead", rows)
    async with org.taking():
        for start in range(0, rows, 1_000):
            part = [
                {"object": "Lead", "op": "create", "id": record_id}
                for record_id in ids[start : start + 1_000]
            ]
            await send(org, part, f"msg_23_{start}")
    cursor = (await org.state("Account")).as_of
    before = await org.calls()
    await settle(org)
    while await org.waiting():
        await org.repair()
    assert await org.cost(before) <= 4
    assert (await org.state("Account")).as_of == cursor
    assert await org.equal("Lead") == rows + 10


@pytest.mark.parametrize(
    ("channel", "edits"),
    [("gateway", 25), ("stream", 3), ("cdc", 1), on_request("stream", 25), on_request("cdc", 25)],
)
async def test_ac_25_ten_thousand_events_shuffled_and_doubled(
    stand: Standing, channel: str, edits: int
) -> None:
    """Every push of 10,000 changes comes twice and out of order: no older stamp wins."""
    org = await (await stand({"Lead": 400}, channel=channel)).loaded()
    await connect(org, "Lead", mute=True)
    sent: list[Row] = []
    rng = random.Random(25)
    for edit in range(edits):
        org.advance(1)  # many edits share a stamp with the one before
        org.update("Lead", org.ids("Lead"), Title=f"edit {edit}")
        for row in org.org.snapshot("Lead"):
            seen = {"Id": row["Id"], "Title": row["Title"], "SystemModstamp": row["SystemModstamp"]}
            sent.append(
                {
                    "object": "Lead",
                    "op": "update",
                    "id": row["Id"],
                    "modstamp": row["SystemModstamp"],
                    "fields": seen,
                }
            )
    assert len(sent) == 400 * edits
    rng.shuffle(sent)
    batches = [sent[start : start + 200] for start in range(0, len(sent), 200)] * 2
    rng.shuffle(batches)
    async with org.taking():
        for number, batch in enumerate(batches):
            await send(org, batch, f"msg_25_{number}")
    await settle(org)
    while await org.waiting():
        await org.repair()
    assert {row["Title"] for row in org.sql("SELECT Title FROM Lead")} == {f"edit {edits - 1}"}
    await org.read()
    assert await org.equal("Lead") == 400


@where_signed
async def test_ac_27_conditions_save_the_budget_and_the_gauge_shows_it(stand: Standing, channel: str) -> None:
    """An uninteresting field changes a thousand times: no push; the org's async Apex budget is on show."""
    org = await stand({"Lead": 100}, channel=channel, objects={"Lead": {"conditions": ["Company"]}})
    await org.loaded()
    await connect(org, "Lead")
    row = {"Key__c": "Lead.Company", "Object__c": "Lead", "Field__c": "Company", "Condition__c": True}
    await org.simulated.control("dml", {"op": "create", "object": "RTS_Synced_Field__c", "rows": [row]})
    org.advance(60)
    for turn in range(10):
        org.update("Lead", org.ids("Lead"), Title=f"nobody watches {turn}")
    org.update("Lead", org.ids("Lead")[:1], Company="somebody watches")
    await org.pushed()
    await org.beat()
    statistics = (await org.simulated.stats())["pushes"]
    assert (statistics["filtered"], statistics["pushes"]) == (1_000, 1)
    async with org.client() as client:
        package = await client.package()
    assert package.async_used is not None
    assert package.async_max is not None
    assert 0 < package.async_used < package.async_max


@on_every_channel
async def test_freshness_is_measured_for_each_source(stand: Standing, channel: str) -> None:
    """From the org's commit to the mirror's, by what brought it: pushes in seconds, windows later."""
    org = await (await stand({"Lead": 30}, channel=channel)).loaded()
    await connect(org, "Lead")
    org.advance(60)
    org.update("Lead", org.ids("Lead")[:5], Title="pushed")
    await org.pushed()
    await lose_pushes(org)
    org.update("Lead", org.ids("Lead")[5:9], Title="read later")
    org.advance(400)
    await org.read()
    shown = await org.state("Lead")
    assert set(shown.freshness_by_source) == {"push", "interval"}
    assert shown.freshness_by_source["push"].p99 < 5_000
    assert 400_000 <= shown.freshness_by_source["interval"].p50 < 410_000
    assert shown.freshness_ms is not None
    assert (shown.freshness_ms.p50, shown.freshness_ms.p99) == (
        shown.freshness_by_source["push"].p99,
        shown.freshness_by_source["interval"].p99,
    )


@where_signed_in_time
@pytest.mark.parametrize("ahead_s", [0, 43_200], ids=["now", "in twelve hours"])
async def test_a_forged_push_is_found_and_undone(stand: Standing, ahead_s: int, channel: str) -> None:
    """Signed with a leaked token, stamped newer than the org's row: an audit heals it, for few calls.

    As long as it can't be told whose clock is right, the object is not called live.
    """
    org = await (await stand({"Lead": 40}, channel=channel)).loaded()
    await connect(org, "Lead", mute=True)
    org.advance(3_600)
    lead, other = org.ids("Lead")[:2]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(org.now() / 1000 + ahead_s))
    forged = {"object": "Lead", "op": "update", "modstamp": stamp}
    changes: list[Row] = [
        {**forged, "id": lead, "fields": {"Id": lead, "Title": "forged"}},
        {"object": "Lead", "op": "delete", "id": other, "modstamp": stamp},
    ]
    async with org.taking():
        await send(org, changes, "msg_forged")
    await settle(org)
    assert org.sql("SELECT Title FROM Lead WHERE Id=?", lead)[0]["Title"] == "forged"
    before = await org.calls()
    await org.audit("Lead")
    if (await org.state("Lead")).state != "live":
        org.advance(120)
        await org.load()
        await org.audit("Lead")
        await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.cost(before) <= 40
    assert await org.equal("Lead") == 40
    before = await org.calls()
    await org.repair()
    assert await org.cost(before) == 0
