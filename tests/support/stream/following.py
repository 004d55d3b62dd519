"""The subscription of a daemon in this process: it follows the event bus while a test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rtsd.daemon.parts import Parts
from rtsd.daemon.stream import topic_of
from rtsd.errors import SalesforceError
from rtssim.bus.event_bus import EventBus
from tests.support.waiting import eventually

PAUSE_S = 0.01
"""Between two streams; the daemon's own pauses are minutes."""
WITHIN_S = 240
"""For 20,000 events on a machine that has other work."""


@asynccontextmanager
async def following(parts: Parts, bus: EventBus) -> AsyncIterator[None]:
    """Follow the bus while the block runs, and on to its newest event; do nothing without a subscription."""
    if parts.services.subscriber is None:
        yield
        return
    task = asyncio.create_task(_follow(parts), name="subscriber")
    try:
        yield
        newest = bus.newest
        await eventually(lambda: _is_at(parts, task, newest), "every event is taken", WITHIN_S)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def taken(parts: Parts, bus: EventBus) -> None:
    """Wait until every event so far is stored; at once without a subscription."""
    if parts.services.subscriber is not None:
        newest = bus.newest
        await eventually(lambda: _is_at(parts, None, newest), "every event is taken")


async def responded(parts: Parts, bus: EventBus) -> None:
    """Wait for a response of the bus that was made after now."""
    tick = bus.tick()
    await eventually(lambda: _is_at(parts, None, tick), "a response")


async def _follow(parts: Parts) -> None:
    """Keep one stream after the other, with what a subscription depends on known."""
    services = parts.services
    assert services.subscriber is not None
    assert services.deliveries is not None
    while True:
        with suppress(SalesforceError):
            if not services.deliveries.is_known:
                await services.deliveries.step()
            await services.subscriber.step()
        await asyncio.sleep(PAUSE_S)


async def _is_at(parts: Parts, task: asyncio.Task[None] | None, number: int) -> bool:
    """Whether everything up to a position of the bus is stored; a full inbox is emptied meanwhile."""
    if task is not None and task.done():
        task.result()
    while not parts.base.inbox.has_room and await parts.services.realtime.apply_batch():
        pass
    position = await parts.base.inbox.position(topic_of(parts.base.config))
    return position is not None and EventBus.number_of(position.replay_id) >= number
