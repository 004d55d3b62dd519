"""The budget of event deliveries: when rtsd unsubscribes, returns, and reads the org's figure."""

from __future__ import annotations

import pytest

from rtsd.core.delivery_budget import DeliveryBudget, DeliveryUsage
from rtsd.core.instant import HOUR_MS, MINUTE_MS

BUDGET = DeliveryBudget(0.8)


@pytest.mark.parametrize(
    ("used", "goes_on", "returns"),
    [(0, True, True), (719, True, True), (720, True, False), (799, True, False), (800, False, False)],
)
def test_it_returns_with_some_distance(used: int, goes_on: bool, returns: bool) -> None:  # noqa: FBT001
    """It stops at 80 %, and begins again under 72 %."""
    usage = DeliveryUsage(used, 1_000)
    assert BUDGET.may_subscribe(usage, subscribed=True) is goes_on
    assert BUDGET.may_subscribe(usage, subscribed=False) is returns


@pytest.mark.parametrize(
    ("before", "used", "minutes"),
    [
        (None, 0, 60),
        (None, 400, 30),
        (None, 792, 1),
        (None, 800, 1),
        (None, 5_000, 1),
        (0, 80, 45),  # at 80 in ten minutes the other 720 last for 90
        (80, 80, 54),
        (700, 80, 54),  # expired
        (0, 700, 1),
    ],
)
def test_the_nearer_the_oftener(before: int | None, used: int, minutes: int) -> None:
    """By what is left, and by how fast it goes: half of the time that is left, from a minute to an hour."""
    earlier = None if before is None else DeliveryUsage(before, 1_000)
    pause = BUDGET.read_after(DeliveryUsage(used, 1_000), earlier, 10 * MINUTE_MS)
    assert MINUTE_MS <= pause <= HOUR_MS
    assert pause // MINUTE_MS == minutes


def test_an_org_without_deliveries_has_no_room() -> None:
    """An allocation of 0 divides nothing."""
    nothing = DeliveryUsage(0, 0)
    assert not BUDGET.may_subscribe(nothing, subscribed=True)
    assert BUDGET.read_after(nothing, None, 0) == MINUTE_MS
