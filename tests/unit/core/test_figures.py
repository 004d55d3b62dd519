"""Numbers and moments as people read them."""

from __future__ import annotations

import pytest

from rtsd.core import figures
from tests.support.dashboard.scenarios import NOW, ago


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (86_400, "1d"), (9e6, "104d")],
)
def test_span(seconds: float, text: str) -> None:
    """At most four characters for anything an operator meets."""
    assert figures.span(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "—"), (0, "0"), (999, "999"), (1_200, "1.2k"), (48_210, "48k"), (1_300_000, "1.3M")],
)
def test_short(number: float | None, text: str) -> None:
    """Unknown is not zero."""
    assert figures.short(number) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.0001, "<1%"), (0.5, "50%"), (0.9999, "99%"), (1, "100%"), (1.2, "120%")]
)
def test_a_percentage_is_never_rounded_to_an_untruth(share: float, text: str) -> None:
    """Not 0 % while something is used, not 100 % while something is left."""
    assert figures.percent(share) == text


def test_moments() -> None:
    """Ages and clocks; what cannot be read is unknown, not an error."""
    assert figures.age(ago(125), NOW) == "2m"
    assert figures.until(ago(-125), NOW) == "2m"
    assert figures.age(None, NOW) == figures.age("soon", NOW) == figures.clock("?") == figures.UNKNOWN
    assert figures.clock(ago(0), millis=True) == "12:34:56.250 UTC"
    assert figures.day_clock(ago(0), NOW) == "12:34 UTC"
    assert figures.day_clock(ago(86_400), NOW) == "02-28 12:34 UTC"
    assert figures.day_clock(ago(86_400), NOW, zone=False) == "02-28 12:34"
    assert figures.age("2026-03-01T12:34:00", NOW) == "56s"
    assert [figures.millis(value) for value in (None, 640, 1_300, 42_000)] == ["—", "640ms", "1.3s", "42s"]
    assert [figures.millis(value) for value in (60_000, 60_001, 600_001)] == ["60s", "61s", "11m"]
