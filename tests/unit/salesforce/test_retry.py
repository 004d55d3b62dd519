"""The gate that limits calls at a time, and the budget of retries."""

from __future__ import annotations

import asyncio

import pytest

from rtsd.errors import OrgUnreachable
from rtsd.salesforce.error_mapping import CallFailed, Recovery
from rtsd.salesforce.retry import ConcurrencyLimit, Retrier, RetryPolicy


async def enter(gate: ConcurrencyLimit, inside: list[str], name: str, leave: asyncio.Event) -> None:
    async with gate.slot():
        inside.append(name)
        try:
            await leave.wait()
        finally:
            inside.remove(name)


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_are_inside() -> None:
    """Who comes later waits for a place, and gets it."""
    gate, leave = ConcurrencyLimit(2), asyncio.Event()
    inside: list[str] = []
    tasks = [asyncio.create_task(enter(gate, inside, str(n), leave)) for n in range(5)]
    await settle()
    assert inside == ["0", "1"]
    leave.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert inside == []


@pytest.mark.parametrize("steps", range(5))
async def test_a_cancelled_waiter_takes_no_turn_along(steps: int) -> None:
    """At whatever moment the one that is woken is cancelled, the next one gets the place."""
    gate, inside = ConcurrencyLimit(1), list[str]()
    first, later = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(enter(gate, inside, "holder", first))
    await settle()
    doomed = asyncio.create_task(enter(gate, inside, "doomed", later))
    patient = asyncio.create_task(enter(gate, inside, "patient", later))
    await settle()
    first.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    doomed.cancel()
    await holder
    await settle()
    assert inside == ["patient"]
    later.set()
    await patient


async def test_the_limit_narrows_at_once_and_widens_slowly() -> None:
    """Half as many after each refusal, never none; one more after fifty calls that went well."""
    gate = ConcurrencyLimit(8)
    gate.reduce()
    assert gate.limit == 4
    for _ in range(5):
        gate.reduce()
    assert gate.limit == 1
    for _ in range(49):
        gate.succeeded()
    assert gate.limit == 1
    gate.succeeded()
    assert gate.limit == 2
    for _ in range(50 * 20):
        gate.succeeded()
    assert gate.limit == 8


async def test_pauses_of_a_resumed_download_spend_the_same_budget() -> None:
    """A download that breaks again and again ends, by tries or by the hour's budget."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    retrier = Retrier(RetryPolicy(attempts=3, per_hour=4), lambda: 0, sleep)
    broken = CallFailed(OrgUnreachable("broken"), Recovery.RETRY)
    await retrier.pause(1, broken)
    await retrier.pause(2, broken)
    with pytest.raises(CallFailed):
        await retrier.pause(3, broken)
    await retrier.pause(1, broken)
    await retrier.pause(1, broken)
    with pytest.raises(CallFailed) as caught:
        await retrier.pause(1, broken)
    assert "4 retries an hour" in caught.value.error.do
    assert len(pauses) == 4
