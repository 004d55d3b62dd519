"""Salesforce's clock, from `Date` headers of whole seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.server_clock import KEPT_MS, ServerClock


def answer(clock: ServerClock, ahead: int, sent: int, there: int, back: int) -> None:
    """One call to a server whose clock is `ahead` of ours: it takes `there` and `back` ms on the way."""
    written = sent + there + ahead
    clock.observe(written // 1000 * 1000, sent, sent + there + back)


def test_before_the_first_answer_the_clocks_agree() -> None:
    """Nothing is known, nothing is claimed."""
    assert ServerClock(lambda: 0).offset == 0


@given(
    st.integers(-86_400_000, 86_400_000),
    st.lists(
        st.tuples(st.integers(1, 3_000), st.integers(0, 800), st.integers(0, 800)), min_size=1, max_size=40
    ),
)
def test_the_offset_is_never_further_off_than_one_answer_leaves_open(
    ahead: int, calls: list[tuple[int, int, int]]
) -> None:
    """Every answer bounds it; the middle is off by half a second and half the way at most."""
    clock, moment = ServerClock(lambda: 0), 1_772_359_200_123
    worst = 1_000 + min(there + back for _, there, back in calls)
    for pause, there, back in calls:
        moment += pause
        answer(clock, ahead, moment, there, back)
    assert abs(clock.offset - ahead) <= worst


def test_many_answers_narrow_it_down() -> None:
    """Calls at different places of the second leave little open."""
    clock = ServerClock(lambda: 0)
    for number in range(50):
        answer(clock, -4_321, 1_772_359_200_000 + number * 1_037, 5, 5)
    assert abs(clock.offset + 4_321) <= 40


def test_a_clock_that_was_set_is_followed_at_once() -> None:
    """Bounds that contradict each other start afresh."""
    clock = ServerClock(lambda: 0)
    for number in range(5):
        answer(clock, 0, 1_000_000 + number * 1_100, 5, 5)
    answer(clock, 3_600_000, 1_010_000, 5, 5)
    assert abs(clock.offset - 3_600_000) <= 1_010


def test_drift_is_followed() -> None:
    """Old bounds are given up, though nothing contradicts them."""
    clock = ServerClock(lambda: 0)
    answer(clock, 0, 0, 0, 0)
    answer(clock, 400, KEPT_MS + 500, 0, 0)
    assert (
        clock.offset
        == (KEPT_MS // 1000 * 1000 - (KEPT_MS + 500) + KEPT_MS // 1000 * 1000 + 1000 - (KEPT_MS + 500)) // 2
    )
