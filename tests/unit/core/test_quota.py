"""What may be spent, when more may, and when a limit runs out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.instant import DAY_MS, HOUR_MS
from rtsd.core.quota import LEFT_TO_OTHERS, Bound, frees_at, runs_out_at

PURPOSES = ("audit", "interval", "repair", "describe")


def test_purposes_stop_one_after_the_other_before_the_reserve() -> None:
    """Full reads first, then windows, then repairs; describes go on, and looks, up to the reserve."""
    bound = Bound(100_000, 0, 20_000)
    stops = [bound.stop(purpose) for purpose in PURPOSES]
    assert stops == [71_997, 75_997, 78_397, 79_997]
    assert LEFT_TO_OTHERS["schema"] == LEFT_TO_OTHERS["formula"] == LEFT_TO_OTHERS["audit"]


@given(
    bound=st.builds(
        lambda highest, share, used: Bound(highest, used, int(highest * share)),
        st.integers(0, 1_000_000),
        st.floats(0, 1),
        st.integers(0, 2_000_000),
    ),
    count=st.integers(1, 100),
    purpose=st.sampled_from(PURPOSES),
    held=st.booleans(),
)
def test_what_may_be_spent_never_touches_the_reserve(
    *, bound: Bound, count: int, purpose: str, held: bool
) -> None:
    """For any limit, reserve and use; and what is missing, once it is free, suffices exactly."""
    used, reserve = bound.used, bound.reserve
    missing = bound.missing(purpose, count, held_back=held)
    if not missing:
        assert used + count <= bound.highest - reserve
    else:
        enough = replace(bound, used=used - missing)
        assert enough.missing(purpose, count, held_back=held) == 0
        assert replace(bound, used=enough.used + 1).missing(purpose, count, held_back=held) == 1


def test_an_own_cap_is_used_up_to_the_last_by_the_most_urgent() -> None:
    """Nobody else draws on it, so no look has to be kept; small caps are not cut by rounding."""
    assert Bound(200, 199, ours_alone=True).missing("describe", 1) == 0
    assert Bound(200, 180, ours_alone=True).missing("audit", 1) == 1
    assert Bound(3, 2, ours_alone=True).missing("audit", 1) == 0
    assert Bound(3, 3, ours_alone=True).missing("audit", 1) == 1


def test_what_was_held_back_goes_on_with_some_room() -> None:
    """One free place would stop it again at once."""
    bound = Bound(10_000, 8_999, ours_alone=True)
    assert bound.missing("audit", 1) == 0
    assert bound.missing("audit", 1, held_back=True) == 100


def test_calls_free_their_place_a_day_later() -> None:
    """The earliest moment at which enough has left; never, when all of it would not be enough."""
    spent = [(1_000, 5), (2_000, 1), (3_000, 10)]
    assert frees_at(spent, 5) == 1_000 + DAY_MS
    assert frees_at(spent, 6) == 2_000 + DAY_MS
    assert frees_at(spent, 7) == 3_000 + DAY_MS
    assert frees_at(spent, 17) is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ([], None),
        ([(0, 500)], None),
        ([(0, 500), (HOUR_MS, 500)], None),
        ([(0, 500), (HOUR_MS, 400)], None),
        ([(0, 500), (HOUR_MS, 510)], None),  # 49 hours
        ([(0, 500), (HOUR_MS, 600)], 5 * HOUR_MS),
        ([(0, 500), (HOUR_MS, 1_000)], HOUR_MS),
        ([(7, 1_200)], 7),
    ],
)
def test_the_forecast_follows_the_last_hour(usage: list[tuple[int, int]], expected: int | None) -> None:
    """When 1,000 are used up at that rate; None when that takes more than a day."""
    assert runs_out_at(usage, 1_000) == expected


def test_a_busy_moment_is_no_rate() -> None:
    """A start's burst of calls in ten seconds does not mean that the day's calls are gone in an hour."""
    assert runs_out_at([(0, 0), (10_000, 30)], 15_000) is None
