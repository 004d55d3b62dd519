"""Moments as they are typed."""

from __future__ import annotations

import os
import time
from datetime import datetime

import pytest

from rtstui.typed_moment import on_wire, typed_moment
from tests.support.dashboard.scenarios import NOW


@pytest.fixture(autouse=True)
def _lisbon() -> None:
    """A zone with a summer time; the folder's fixture puts UTC back."""
    os.environ["TZ"] = "Europe/Lisbon"
    time.tzset()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("90s", "2026-03-01T12:33:26.250Z"),
        ("-10m", "2026-03-01T12:24:56.250Z"),
        ("24h", "2026-02-28T12:34:56.250Z"),
        ("7d", "2026-02-22T12:34:56.250Z"),
        ("12:30", "2026-03-01T12:30:00.000Z"),
        (" 9:05:07 ", "2026-03-01T09:05:07.000Z"),
        ("12:35", "2026-02-28T12:35:00.000Z"),
        ("2026-03-01T12:30", "2026-03-01T12:30:00.000Z"),
        ("2025-07-01T12:30", "2025-07-01T11:30:00.000Z"),
        ("2025-07-01T12:30+02:00", "2025-07-01T10:30:00.000Z"),
        ("2025-07-01T12:30Z", "2025-07-01T12:30:00.000Z"),
        ("2026-02-01", "2026-02-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_read_as_people_mean_it(typed: str, meant: str) -> None:
    """Ago, the last time the clock showed it, or in full; local unless it has a zone."""
    assert on_wire(typed_moment(typed, NOW)) == meant


def test_the_last_clock_time_is_of_yesterday_across_a_change_of_the_clocks() -> None:
    """In the night in which clocks go forward, the same time of day is 23 hours ago."""
    now = datetime.fromisoformat("2026-03-29T11:00:00+00:00")  # 12:00 in Lisbon
    assert on_wire(typed_moment("12:30", now)) == "2026-03-28T12:30:00.000Z"


@pytest.mark.parametrize("typed", ["", "5", "soon", "24:00", "12:60", "0001-01-01T00:00", "999999999d"])
def test_what_is_no_time_is_answered_with_examples(typed: str) -> None:
    """The same words in every prompt."""
    with pytest.raises(ValueError, match="is no time; such as 5m, 12:30 or 2026-11-30T12:30"):
        typed_moment(typed, NOW)
