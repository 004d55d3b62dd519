"""The runner: repetition, pauses, what it retries, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rtsd import services
from rtsd.errors import OrgUnreachable, QuotaExhausted, SalesforceError, StorageFull
from rtsd.services import LONGEST_RETRY_S, RETRY_S, UNTIL_WOKEN, Runner, Service
from tests.support.clocks import FakeClock


class Told:
    """A guard that keeps what it hears."""

    def __init__(self) -> None:
        self.refusals: list[SalesforceError] = []
        self.successes = 0

    async def refused(self, error: SalesforceError) -> None:
        """Keep it."""
        self.refusals.append(error)

    async def succeeded(self) -> None:
        """Count it."""
        self.successes += 1


class Script(Service):
    """A service that does what a test says, then waits."""

    name = "script"

    def __init__(self, *steps: float | BaseException) -> None:
        super().__init__()
        self.script = list(steps)
        self.steps = 0
        self.closed = False
        self.slowest_retry = 0.0

    @property
    def retry_s(self) -> float:
        """As the test wants it."""
        return self.slowest_retry

    async def step(self) -> float:
        """Return or raise what comes next."""
        self.steps += 1
        found = self.script.pop(0) if self.script else UNTIL_WOKEN
        if isinstance(found, BaseException):
            raise found
        return found

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


@pytest.fixture
def told() -> Told:
    """A guard."""
    return Told()


@pytest.fixture
def runner(told: Told) -> Runner:
    """A runner whose clock stands still."""
    return Runner(told, FakeClock())


async def turns(condition: Callable[[], Any]) -> None:
    """Let the loop turn until a condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.001)


async def test_a_step_says_how_long_to_pause(runner: Runner, told: Told) -> None:
    """And a step that went well is reported."""
    assert await runner.step(Script(7.5)) == 7.5
    assert told.successes == 1


async def test_refusals_in_a_row_lead_to_growing_pauses(runner: Runner, told: Told) -> None:
    """Doubling up to a minute; each is shown; one step that goes well begins from the start."""
    error = SalesforceError("no")
    service = Script(*[error] * 6, 3.0, error)
    pauses = [await runner.step(service) for _ in range(6)]
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert told.refusals == [error] * 6
    assert await runner.step(service) == 3.0
    assert await runner.step(service) == RETRY_S


async def test_a_service_may_want_longer_pauses(runner: Runner) -> None:
    """A probe that is refused is no more urgent than one that found nothing."""
    service = Script(OrgUnreachable("away"))
    service.slowest_retry = 3_600.0
    assert await runner.step(service) == 3_600.0 > LONGEST_RETRY_S


async def test_services_back_off_each_on_their_own(runner: Runner) -> None:
    """One that fails does not slow another down."""

    class Other(Script):
        name = "other"

    for _ in range(4):
        await runner.step(Script(SalesforceError("no")))
    assert await runner.step(Other(SalesforceError("no"))) == RETRY_S


@pytest.mark.parametrize(("in_s", "pause"), [(-5, 5.0), (60, 60.0), (9_999, 300.0)])
async def test_quota_is_waited_for(runner: Runner, told: Told, in_s: int, pause: float) -> None:
    """Until it is tried again, five minutes at most; the ledger has said so already."""
    error = QuotaExhausted("used up")
    error.try_at = FakeClock().ms + in_s * 1000
    assert await runner.step(Script(error)) == pause
    assert (told.refusals, told.successes) == ([], 0)


async def test_a_step_repeats_at_once_or_when_woken(runner: Runner) -> None:
    """0 is at once; a pause ends early by the event; an event during a step is not lost."""
    service = Script(0.0, 0.0, 3_600.0)
    running = asyncio.create_task(runner.run(service))
    await turns(lambda: service.steps == 3)
    service.wake.set()
    await turns(lambda: service.steps == 4)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert service.closed


async def test_a_full_disk_is_waited_for(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Space comes back: the service goes on, and was not closed meanwhile."""
    monkeypatch.setattr(services, "FULL_DISK_PAUSE_S", 0.001)
    service = Script(StorageFull("full"), StorageFull("full"), UNTIL_WOKEN)
    running = asyncio.create_task(runner.run(service))
    await turns(lambda: service.steps == 3)
    assert not service.closed
    running.cancel()


async def test_a_stop_drains_while_everything_runs(runner: Runner) -> None:
    """What drains needs the services: they end after it, and are closed."""
    service, stop = Script(), asyncio.Event()
    seen: list[bool] = []

    async def drain() -> None:
        await asyncio.sleep(0.01)
        seen.append(service.closed)

    running = asyncio.create_task(runner.run_all([service], stop, drain))
    await turns(lambda: service.steps)
    stop.set()
    async with asyncio.timeout(5):
        await running
    assert seen == [False]
    assert service.closed


async def test_a_bug_ends_all_services(runner: Runner) -> None:
    """Nothing runs on beside a service that failed."""

    class Broken(Script):
        name = "broken"

    other = Script()
    with pytest.raises(ExceptionGroup) as ended:
        await runner.run_all([other, Broken(LookupError("a bug"))], asyncio.Event(), Told().succeeded)
    assert ended.group_contains(LookupError)
    assert other.closed
