"""Services, and the runner that repeats their steps.

A step does one piece of work and returns how long to pause. The runner does the rest: it waits or is woken,
retries calls that Salesforce refused, waits for space on a full disk, and ends the daemon if a service fails
in any other way or returns. Without that service the daemon would look healthy while broken.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import ClassVar, Protocol

import structlog

from rtsd.core.instant import Millis
from rtsd.errors import QuotaExhausted, RtsError, SalesforceError, StorageAway, StorageFull

RETRY_S = 5.0
"""Seconds to pause after a step that Salesforce refused; doubled with every consecutive refusal ..."""
LONGEST_RETRY_S = 60.0
"""... up to this, so that the daemon notices within a minute that the org answers again."""
LONGEST_QUOTA_WAIT_S = 300.0
"""Quota may free up sooner than predicted, as others use it too."""
FULL_DISK_PAUSE_S = 2.0
AWAY_PAUSE_S = 1.0
UNTIL_WOKEN = math.inf
"""The pause of a step that waits only for its event."""

log = structlog.get_logger("rtsd.services")


class Service(ABC):
    """A component that runs for as long as the daemon does."""

    name: ClassVar[str]

    def __init__(self, wake: asyncio.Event | None = None) -> None:
        self.wake = wake or asyncio.Event()
        """Ends the pause before the next step."""

    @abstractmethod
    async def step(self) -> float:
        """Do the work that is due; return the seconds until the next step, 0 for immediately."""

    @property
    def retry_s(self) -> float:
        """Minimum seconds to pause after a refused step, if the runner's own pause is too short."""
        return 0.0

    async def close(self) -> None:  # noqa: B027 - most services have nothing to clean up
        """Clean up after the last step."""


class StepObserver(Protocol):
    """Receives the result of every step."""

    async def refused(self, error: SalesforceError) -> None:
        """Record a step that Salesforce refused."""

    async def succeeded(self) -> None:
        """Record a successful step."""


class Runner:
    """Runs services (see the module)."""

    def __init__(self, observer: StepObserver, now: Callable[[], Millis]) -> None:
        self._observer = observer
        self._now = now
        self._refusals: Counter[str] = Counter()
        """Consecutive refused steps, by service."""

    async def run_all(
        self, services: Sequence[Service], stop: asyncio.Event, drain: Callable[[], Awaitable[None]]
    ) -> None:
        """Run the services until `stop` is set, drain while they still run, then cancel them.

        Raises an exception group with the error of a service that failed, or with a RuntimeError for one that
        returned.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.run(service), name=service.name) for service in services]
            await _until(stop, tasks)
            log.info("stopping")
            await drain()
            for task in tasks:
                task.cancel()

    async def run(self, service: Service) -> None:
        """Run one service until it is cancelled or fails."""
        await repeat(service, partial(self.step, service))

    async def step(self, service: Service) -> float:
        """Run one step of a service; return the seconds until the next one.

        Errors from Salesforce are reported and lead to a pause. Raises every other error.
        """
        try:
            pause = await service.step()
        except QuotaExhausted as error:  # the ledger has journalled it already
            wait = (error.try_at - self._now()) / 1000
            return min(max(wait, RETRY_S), LONGEST_QUOTA_WAIT_S)
        except SalesforceError as error:
            self._refusals[service.name] += 1
            await self._observer.refused(error)
            return max(retry_pause_s(self._refusals[service.name]), service.retry_s)
        self._refusals[service.name] = 0
        await self._observer.succeeded()
        return pause


@contextmanager
def the_expected_error_alone() -> Iterator[None]:
    """Raise an RtsError in place of an exception group that has no others."""
    try:
        yield
    except BaseExceptionGroup as failures:
        expected, unexpected = failures.split(RtsError)
        if unexpected is None and expected is not None:
            raise expected.exceptions[0] from None
        raise


def retry_pause_s(refusals: int) -> float:
    """Return the seconds to pause after `refusals` consecutive refusals."""
    return float(min(RETRY_S * 2 ** min(refusals - 1, 16), LONGEST_RETRY_S))


async def repeat(service: Service, step: Callable[[], Awaitable[float]]) -> None:
    """Repeat a service's step until cancelled, then close the service."""
    try:
        while True:
            service.wake.clear()
            try:
                pause = await step()
            except StorageFull as error:  # nothing was lost: retry until there is space again
                log.warning("storage full", service=service.name, message=str(error))
                await asyncio.sleep(FULL_DISK_PAUSE_S)
            except StorageAway as error:
                log.warning("storage away", service=service.name, message=str(error))
                await asyncio.sleep(AWAY_PAUSE_S)
            else:
                await _rest(service.wake, pause)
    finally:
        await service.close()


async def _rest(wake: asyncio.Event, pause: float) -> None:
    """Wait for `pause` seconds, or until woken."""
    if pause <= 0:
        await asyncio.sleep(0)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(None if pause == UNTIL_WOKEN else pause):
            await wake.wait()


async def _until(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for `stop`. Raises RuntimeError for a service that has returned.

    If a service fails, the task group cancels this wait.
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
