"""The service: what wakes it, how it retries, and how it follows a reload."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from rtsd.fanout import outlet
from tests.integration.fanout.conftest import Publish, Publishing
from tests.support import nats
from tests.support.nats import Server
from tests.support.waiting import eventually

pytestmark = nats.needed


@asynccontextmanager
async def running(made: Publishing) -> AsyncIterator[None]:
    """Have the runner run the service."""
    task = asyncio.create_task(made.rig.parts.runner.run(made.rig.parts.services.fanout))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def tasks() -> list[str]:
    """The outlets that run."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("stream ")]


async def test_a_change_wakes_it(publishing: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle stream does not wait for its next check."""
    monkeypatch.setattr(outlet, "IDLE_S", 3_600.0)
    made = await publishing()
    async with running(made):
        await eventually(lambda: made.outlet.is_connected, "it is connected")
        await made.rename(await made.rig.a_record("Contact"), "New")
        await eventually(lambda: made.outlet.numbers.published == 1, "it is published")


async def test_changes_do_not_shorten_the_pause_after_a_failure(publishing: Publish, server: Server) -> None:
    """A server that is down is not tried for every change."""
    made = await publishing()
    await server.end()
    began = time.monotonic()
    async with running(made):
        await eventually(lambda: made.outlet.numbers.failures, "it has failed")
        for number in range(20):
            await made.rename(await made.rig.a_record("Contact"), f"Name {number}")
        most = 2 + (time.monotonic() - began) * 1000 / outlet.RETRY_FIRST_MS
        assert made.outlet.numbers.failures <= most
        await server.start()
        await eventually(lambda: made.outlet.numbers.published == 20, "all are published")


async def test_a_reload_starts_and_stops_streams(publishing: Publish, server: Server) -> None:
    """One that stays goes on with its connection; one that leaves stores where it was, for its return."""
    made = await publishing()
    await server.add("second", subjects=["second"])
    service, target = made.rig.parts.services.fanout, made.outlet.target
    async with running(made):
        await made.rename(await made.rig.a_record("Contact"), "One")
        await eventually(lambda: made.outlet.numbers.published == 1, "it is published")
        first = made.outlet
        service.replace([target, replace(target, name="second", stream="second")])
        await eventually(lambda: len(tasks()) == 2, "both run")
        assert service.outlets[0] is first
        failing = service.outlets[1]
        await eventually(lambda: failing.error is not None, "the other one has failed")
        assert first.is_connected
        service.replace([])
        await eventually(lambda: not tasks(), "none runs")
        assert not first.is_connected
        await made.rename(await made.rig.a_record("Contact"), "Two")
        service.replace([target])
        await eventually(lambda: made.outlet.numbers.published == 1, "it has gone on")
    names = [message.values[1]["LastName"] for message in await server.messages()]
    assert names == ["One", "Two"]
