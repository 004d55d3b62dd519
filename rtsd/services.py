"""What runs: services, each one step at a time, and the runner that repeats them all.

A service does a piece of work per step and says how long to rest. Everything else is the runner's: it waits
or is woken, retries what Salesforce refuses, waits for space on a full disk, and ends the daemon when a
service fails in any other way or stops. A daemon that runs on without one would be green while broken.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar, Protocol

import structlog

from rtsd.core.instant import Millis
from rtsd.errors import QuotaExhausted, SalesforceError, StorageFull

RETRY_S = 5.0
"""The pause after a step that Salesforce refused; it doubles with every refusal in a row ..."""
LONGEST_RETRY_S = 60.0
"""... up to this, so that an org that answers again is noticed within a minute."""
LONGEST_QUOTA_WAIT_S = 300.0
"""Quota may free up sooner than reckoned: others use it too."""
FULL_DISK_PAUSE_S = 2.0
UNTIL_WOKEN = math.inf
"""The pause of a step that has nothing to wait for but its event."""

log = structlog.get_logger("rtsd.services")


class Service(ABC):
    """Something that runs for as long as the daemon does."""

    name: ClassVar[str]

    def __init__(self, wake: asyncio.Event | None = None) -> None:
        self.wake = wake or asyncio.Event()
        """Ends the pause between two steps."""

    @abstractmethod
    async def step(self) -> float:
        """Do what is due; return the seconds until the next step, 0 for at once."""

    @property
    def retry_s(self) -> float:
        """The shortest pause after a refused step, where the runner's own is too short."""
        return 0.0

    async def close(self) -> None:  # noqa: B027 - most services have nothing to do here
        """Leave things in order after the last step."""


class Guard(Protocol):
    """Learns how steps went."""

    async def refused(self, error: SalesforceError) -> None:
        """Show what Salesforce refused."""

    async def succeeded(self) -> None:
        """Take note of a step that went well."""


class Runner:
    """Runs services; see the module."""

    def __init__(self, guard: Guard, now: Callable[[], Millis]) -> None:
        self._guard = guard
        self._now = now
        self._refusals: Counter[str] = Counter()
        """Refused steps in a row, by service."""

    async def run_all(
        self, services: Sequence[Service], stop: asyncio.Event, drain: Callable[[], Awaitable[None]]
    ) -> None:
        """Run them until `stop`, then drain while they still run, and end them.

        Raises an exception group with what one of them failed with, or RuntimeError if one just ended.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.run(one), name=one.name) for one in services]
            await _until(stop, tasks)
            log.info("stopping")
            await drain()
            for task in tasks:
                task.cancel()

    async def run(self, service: Service) -> None:
        """Run one service until it is cancelled or fails."""
        await repeat(service, partial(self.step, service))

    async def step(self, service: Service) -> float:
        """Make one step of a service; return the seconds until the next one.

        What Salesforce refuses is shown, and leads to a pause. Raises everything else.
        """
        try:
            pause = await service.step()
        except QuotaExhausted as error:  # the journal says what is held back, once
            wait = (error.try_at - self._now()) / 1000
            return min(max(wait, RETRY_S), LONGEST_QUOTA_WAIT_S)
        except SalesforceError as error:
            self._refusals[service.name] += 1
            await self._guard.refused(error)
            return max(retry_pause_s(self._refusals[service.name]), service.retry_s)
        self._refusals[service.name] = 0
        await self._guard.succeeded()
        return pause


def retry_pause_s(refusals: int) -> float:
    """How long to wait after so many refusals in a row."""
    return float(min(RETRY_S * 2 ** min(refusals - 1, 16), LONGEST_RETRY_S))


async def repeat(service: Service, step: Callable[[], Awaitable[float]]) -> None:
    """Repeat a service's step until cancelled, then close the service."""
    try:
        while True:
            service.wake.clear()
            try:
                pause = await step()
            except StorageFull as error:  # space comes back, and nothing was lost
                log.warning("storage full", service=service.name, message=str(error))
                await asyncio.sleep(FULL_DISK_PAUSE_S)
            else:
                await _rest(service.wake, pause)
    finally:
        await service.close()


async def _rest(wake: asyncio.Event, pause: float) -> None:
    """Wait until the pause is over, or until woken."""
    if pause <= 0:
        await asyncio.sleep(0)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(None if pause == UNTIL_WOKEN else pause):
            await wake.wait()


async def _until(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for `stop`. Raises RuntimeError for a service that has ended.

    If one fails, the task group cancels this.
    """
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and (task.cancelled() or task.exception() is None):
                raise RuntimeError(f"service {task.get_name()!r} has ended: rtsd does not run on without it")
        await stopping
    finally:
        stopping.cancel()
