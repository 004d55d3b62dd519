"""Texts in cells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rtstui import format as form
from rtstui.rows import cut, plain, spread, width_of

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


@given(TEXT, st.integers(1, 30))
def test_a_block_tells_what_it_leaves_out(text: str, width: int) -> None:
    """The first lines as they are; an ellipsis stands for the others."""
    lines, shown = form.wrap(text, width), form.block(text, width, 2)
    assert shown[:1] == lines[:1]
    assert shown == lines if len(lines) <= 2 else (len(shown) == 2 and shown[1].endswith("…"))
    assert form.block(text, width, 0) == []


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


def test_spark_scales_to_the_highest() -> None:
    """The newest is on the right; zero is blank."""
    assert form.spark([0, 1, 8], 5) == "   ▁█"
    assert form.spark([0, 0], 3) == "   "
