"""The limits of the second org's bus: its deliveries, and streams without credit."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest

from tests.support.second_org.change_events import TOPIC, Capture
from tests.support.second_org.data import ORG_ID
from tests.support.second_org.messages import EARLIEST, LATEST, SERVICE, message
from tests.support.second_org.mirroring import equal, reached
from tests.support.second_org.org import CLIENT_ID, CLIENT_SECRET, Habits
from tests.support.second_org.pubsub import MOST_CREDIT, Pace, streaming
from tests.support.second_org.push import document
from tests.support.second_org.server import serving
from tests.support.second_org.subscribed import (
    Subscribed,
    newest,
    presets,
    settled,
    sources,
    told_by_package,
)
from tests.support.waiting import eventually

ALLOCATION, SHARE = 1_000, 200
"""The org's deliveries of 24 hours, and at how many of them rtsd unsubscribes."""
FIFTH = {"deliveries": "20%"}
OFTEN = {"interval": "1s"}


async def test_a_budget_that_is_used_up_is_left_to_others() -> None:
    """There is no subscription at all, status says why, and Interval Sync reads."""
    async with told_by_package(contacts=5) as mine:
        mine.place.org.deliveries = [9_000, 10_000]
        await mine.place.start()
        await reached(mine.place)
        await mine.until(lambda status: status["push"]["stream"]["error"], "a reason")
        stream = (await mine.status())["push"]["stream"]
        figures = (stream["connected"], stream["deliveries_24h"], stream["deliveries_max"])
        assert figures == (None, 9_000, 10_000)
        assert "9,000 of the org's 10,000 event deliveries" in stream["error"]
        await equal(mine.place, "Contact")
        assert mine.pubsub.opened == []


async def test_a_budget_that_is_crossed_ends_the_subscription() -> None:
    """At the configured share; status says so, the rest stays on the bus, and Interval Sync reads."""
    async with told_by_package(push=FIFTH, sync=OFTEN) as mine:
        used = await crossed(mine)
        stream = (await mine.status())["push"]["stream"]
        assert SHARE <= stream["deliveries_24h"] <= used <= SHARE + MOST_CREDIT
        assert stream["deliveries_max"] == ALLOCATION
        assert "of the org's 1,000 event deliveries of 24 hours are used" in stream["error"]
        assert "rtsd stops at 200 ([push] deliveries)" in stream["error"]
        await mine.until(lambda status: status["mode"] == "interval", "Interval Sync")
        await equal(mine.place, "Contact")
        since, opened = newest(mine), len(mine.pubsub.opened)
        mine.publish(document(mine.place.org, mine.edit(7, "left.on.the.bus@example.com")))
        mine.place.org.records.delete("Contact", mine.capture.keys("Contact")[8])
        await equal(mine.place, "Contact")
        assert sources(mine, "Contact", since) <= {"interval", "repair"}  # a proof may come before a window
        assert mine.place.org.deliveries == [used, ALLOCATION]
        assert len(mine.pubsub.opened) == opened


@pytest.mark.slow
async def test_rtsd_subscribes_again_when_the_window_has_rolled() -> None:
    """It asks once a minute, begins at the end of the bus, and reads what that leaves out."""
    async with told_by_package(push=FIFTH, sync=OFTEN) as mine:
        await crossed(mine)
        opened = len(mine.pubsub.opened)
        mine.publish(document(mine.place.org, mine.edit(7, "left.on.the.bus@example.com")))
        mine.place.org.deliveries = [0, ALLOCATION]
        await mine.until(lambda status: status["push"]["stream"]["connected"], "a subscription", 120)
        assert presets(mine, opened) == [LATEST]
        mine.publish({"v": 1, "kind": "test", "org": ORG_ID, "sent": "2026-03-01T10:00:00Z"})
        await mine.until(lambda status: status["mode"] == "real_time", "a push is evidence")
        await equal(mine.place, "Contact")
        await settled(mine)
        since = newest(mine)
        mine.publish(document(mine.place.org, mine.edit(9, "again@example.com")))
        await equal(mine.place, "Contact")
        assert sources(mine, "Contact", since) == {"push"}
        assert mine.place.org.deliveries == [2, ALLOCATION]


async def crossed(mine: Subscribed) -> int:
    """Use the share up, half by others, with more events than there is room for; how many are used then."""
    org = mine.place.org
    org.deliveries = [SHARE // 2, ALLOCATION]
    await mine.begin()
    for number in range(2 * SHARE):
        mine.publish(document(org, mine.edit(number % 60, f"many.{number}@example.com")))
    await mine.until(lambda status: status["push"]["stream"]["connected"] is False, "unsubscribed")
    await eventually(lambda: not mine.pubsub.streams, "the bus has nobody to deliver to")
    return org.deliveries[0]


async def test_the_bus_closes_what_has_no_credit() -> None:
    """After the time without a request, whatever is published meanwhile; EARLIEST brings all that is kept."""
    async with serving(Habits(), contacts=1) as org, streaming(org, TOPIC, pace=Pace(starves=1.0)) as pubsub:
        capture = Capture(org.records, pubsub.bus)
        (person,) = capture.keys("Contact")
        for number in range(3):
            capture.update("Contact", person, Email=f"{number}@example.com")
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        token = org.login(form).body["access_token"]
        metadata = (("accesstoken", token), ("instanceurl", org.instance_url), ("tenantid", ORG_ID))
        async with grpc.aio.insecure_channel(pubsub.endpoint.removeprefix("http://")) as channel:
            subscribe: Any = channel.stream_stream(
                f"/{SERVICE}/Subscribe",
                lambda asked: asked.SerializeToString(),
                message("FetchResponse").FromString,
            )
            call = subscribe(metadata=metadata)
            first = message("FetchRequest")(topic_name=TOPIC, replay_preset=EARLIEST, num_requested=3)
            await call.write(first)
            response: Any = await call.read()
            assert (len(response.events), response.pending_num_requested) == (3, 0)
            ended = asyncio.ensure_future(call.read())
            begun = time.monotonic()
            while not ended.done():
                assert time.monotonic() < begun + 10
                capture.update("Contact", person, Email="meanwhile@example.com")
                await asyncio.wait({ended}, timeout=0.2)
            assert await ended is grpc.aio.EOF
