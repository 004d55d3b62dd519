"""Numbers, moments and cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rtstui import format as form
from rtstui.rows import cut, plain, spread, width_of
from tests.support.dashboard.scenarios import NOW, ago

TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=40)


@given(TEXT, st.integers(0, 60))
def test_fit_and_right_fill_their_cells_exactly(text: str, width: int) -> None:
    """Columns line up whatever script is in them."""
    assert cell_len(form.fit(text, width)) == width
    assert cell_len(form.right(text, width)) == width


@given(st.lists(TEXT, max_size=6), st.integers(0, 60))
def test_cut_never_exceeds_and_marks_what_it_cuts(texts: list[str], width: int) -> None:
    """A row fits, and says so when something is missing."""
    row = tuple((text, "") for text in texts)
    short = cut(row, width)
    assert width_of(short) <= width
    if width_of(row) > width > 0:
        assert plain(short).rstrip().endswith("…")
    if width_of(row) <= width:
        assert plain(short) == plain(row)


@given(TEXT, st.integers(1, 30))
def test_wrap_keeps_every_word_within_the_width(text: str, width: int) -> None:
    """Nothing is lost between the lines."""
    lines = form.wrap(text, width)
    assert all(cell_len(line) <= max(2, width) for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.floats(0, 1), st.integers(1, 40))
def test_a_bar_shows_something_for_something(share: float, width: int) -> None:
    """A bar has its width; only nothing is empty."""
    bar = form.bar(share, width)
    assert cell_len(bar) == width
    assert bool(bar.strip()) == (share > 0)


def test_spread_drops_the_right_part_before_cutting_the_left() -> None:
    """What stands left is more important."""
    assert plain(spread((("left", ""),), (("r", ""),), 10)) == "left     r"
    assert plain(spread((("left", ""),), (("right", ""),), 8)) == "left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (86_400, "1d"), (9e6, "104d")],
)
def test_span(seconds: float, text: str) -> None:
    """At most four characters for anything an operator meets."""
    assert form.span(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "—"), (0, "0"), (999, "999"), (1_200, "1.2k"), (48_210, "48k"), (1_300_000, "1.3M")],
)
def test_short(number: float | None, text: str) -> None:
    """Unknown is not zero."""
    assert form.short(number) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.0001, "<1%"), (0.5, "50%"), (0.9999, "99%"), (1, "100%"), (1.2, "120%")]
)
def test_a_percentage_is_never_rounded_to_an_untruth(share: float, text: str) -> None:
    """Not 0 % while something is used, not 100 % while something is left."""
    assert form.percent(share) == text


def test_moments() -> None:
    """Ages and clocks; what cannot be read is unknown, not an error."""
    assert form.age(ago(125), NOW) == "2m"
    assert form.until(ago(-125), NOW) == "2m"
    assert form.age(None, NOW) == form.age("soon", NOW) == form.clock("?") == form.UNKNOWN
    assert form.clock(ago(0), millis=True) == "12:34:56.250 UTC"
    assert form.day_clock(ago(0), NOW) == "12:34 UTC"
    assert form.day_clock(ago(86_400), NOW) == "02-28 12:34 UTC"
    assert form.day_clock(ago(86_400), NOW, zone=False) == "02-28 12:34"
    assert form.age("2026-03-01T12:34:00", NOW) == "56s"
    assert [form.millis(value) for value in (None, 640, 1_300, 42_000)] == ["—", "640ms", "1.3s", "42s"]


def test_spark_scales_to_the_highest() -> None:
    """The newest is on the right; zero is blank."""
    assert form.spark([0, 1, 8], 5) == "   ▁█"
    assert form.spark([0, 0], 3) == "   "
