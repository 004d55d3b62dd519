"""The limits of the second org's bus: its deliveries, and streams without credit."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import grpc

from tests.support.second_org import package
from tests.support.second_org.change_events import TOPIC, Capture
from tests.support.second_org.data import ORG_ID
from tests.support.second_org.home import home
from tests.support.second_org.messages import EARLIEST, SERVICE, message
from tests.support.second_org.mirroring import equal, reached
from tests.support.second_org.org import CLIENT_ID, CLIENT_SECRET, Habits
from tests.support.second_org.pubsub import Pace, streaming
from tests.support.second_org.server import serving
from tests.support.second_org.subscribed import Subscribed


async def test_a_budget_that_is_used_up_is_left_to_others() -> None:
    """There is no subscription at all, status says why, and Interval Sync reads."""
    async with AsyncExitStack() as stack:
        org = await stack.enter_async_context(serving(Habits(covered_s=3.0, job_waits=()), contacts=5))
        pubsub = await stack.enter_async_context(streaming(org, package.TOPIC))
        package.register(pubsub.bus)
        push = {"channel": "stream", "endpoint": pubsub.endpoint}
        place = await stack.enter_async_context(
            home(org, objects={"Contact": {}}, push=push, gateway={"listen": ""})
        )
        mine = Subscribed(place, pubsub, Capture(org.records, pubsub.bus))
        org.deliveries = [9_000, 10_000]
        await place.start()
        await reached(place)
        await mine.until(lambda status: status["push"]["stream"]["error"], "a reason")
        stream = (await mine.status())["push"]["stream"]
        figures = (stream["connected"], stream["deliveries_24h"], stream["deliveries_max"])
        assert figures == (None, 9_000, 10_000)
        assert "9,000 of the org's 10,000 event deliveries" in stream["error"]
        await equal(place, "Contact")
        assert pubsub.opened == []


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
