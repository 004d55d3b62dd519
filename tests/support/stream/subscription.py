"""A rig whose daemon is subscribed to the event bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.inprocess.rig import Rig
from tests.support.waiting import eventually


@asynccontextmanager
async def subscribed(rig: Rig) -> AsyncIterator[None]:
    """The daemon, with its subscription open, and what that depends on known."""
    async with rig.running() as parts:
        services = parts.services
        assert services.subscriber is not None
        assert services.deliveries is not None
        await services.deliveries.step()
        if services.capture is not None:
            await services.capture.step()
        task = asyncio.create_task(parts.runner.run(services.subscriber))
        try:
            await eventually(lambda: connected(rig), "the subscription is open")
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def connected(rig: Rig) -> bool:
    """Whether status says so."""
    stream = (await rig.parts.views.status()).push.stream
    return stream is not None and stream.connected is True
