"""Windows, percentiles, pauses, and how many rows may vanish."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.backoff import pause_ms
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.percentile import percentiles
from rtsd.core.window import Window, next_cursor, next_window

MOMENTS = st.integers(1_700_000_000_000, 1_900_000_000_000)


@given(MOMENTS, st.integers(0, 10**9), st.integers(0, 10**7))
def test_windows_leave_no_gap(cursor: int, later: int, lookback: int) -> None:
    """The next window begins before the cursor, and the second that runs is read again by the one after."""
    now = cursor + later
    window = next_window(cursor, now, lookback)
    assert window.start == cursor - lookback
    assert now < window.end <= now + 1_000
    assert window.end % 1_000 == 0
    assert next_window(window.end - 1_000, now + 5_000, lookback).start <= now


def test_a_negative_lookback_is_none() -> None:
    """A window never begins after the cursor."""
    assert next_window(10_000, 20_000, -5_000) == Window(10_000, 21_000)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_the_cursor_never_goes_back_nor_beyond_what_was_read(cursor: int, read: int, covered: int) -> None:
    """It waits for running transactions, at most an hour."""
    after = next_cursor(cursor, read, covered)
    assert after >= cursor
    assert after <= max(cursor, read)
    assert after >= min(read, read - 3_600_000)


def test_the_cursor_waits_for_the_oldest_running_transaction() -> None:
    """ac_02: rows with stamps from its start on may still come."""
    assert next_cursor(0, 1_000_000, 400_000) == 400_000
    assert next_cursor(0, 10_000_000, 400_000) == 10_000_000 - 3_600_000


def test_percentiles_are_values_of_the_sample() -> None:
    """Nearest rank, as the name of a percentile says; nothing for nothing."""
    assert percentiles([], (50,)) is None
    assert percentiles([7], (0, 50, 95, 99)) == [7, 7, 7, 7]
    assert percentiles(range(1, 101), (50, 95, 99, 100)) == [50, 95, 99, 100]
    assert percentiles([3, 1, 2], (50,)) == [2]


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 100))
def test_a_percentile_covers_its_share(sample: list[int], rank: int) -> None:
    """At least that share of the sample is not above it, and it is the least value that says so."""
    found = (percentiles(sample, (rank,)) or [-1])[0]
    assert found in sample
    covered = sum(number <= found for number in sample)
    assert covered * 100 >= rank * len(sample)
    assert sum(number < found for number in sample) * 100 < rank * len(sample)


def test_pauses_grow_and_end() -> None:
    """From half a minute to an hour, however many failures."""
    pauses = [pause_ms(failures) for failures in (0, 1, 2, 3, 4, 7, 8, 9, 100, 10**6)]
    assert pauses[:5] == [30_000, 30_000, 60_000, 120_000, 240_000]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 3_600_000


def test_a_mass_disappearance_is_not_believed() -> None:
    """ac_32: a lost permission looks like a deletion of everything."""
    assert is_plausible(0, 0)
    assert is_plausible(20, 20)
    assert not is_plausible(21, 100)
    assert is_plausible(50, 1_000)
    assert not is_plausible(51, 1_000)
