"""Numbers over time as columns of blocks, one style per series: a colour per cell would cost bandwidth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from rtstui.format import SPARKS, fit, right
from rtstui.rows import Row

AXIS = 6
"""Cells of the scale on the left."""

OURS, OTHERS, FORECAST, OUR_FORECAST = "█", "▓", "•", ":"
"""The signs of a stacked plot. Ours may end in a part of a block, in the forecast both are dotted lines."""

LEGEND = f"{OURS} us {OTHERS} others {FORECAST} forecast, {OUR_FORECAST} of ours"

Cell = tuple[str, str]
"""A character and its role."""

Grid = list[list[Cell]]
"""Rows of cells, the highest first."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a stacked plot: what was used by us and by others, or will be; None if it is unknown."""

    ours: float | None
    others: float | None
    is_forecast: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A line across a plot at a value, with its name in it."""

    value: float
    name: str
    glyph: str


def columns(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """Return a line of text per row of cells, the highest first; a column per value.

    Anything above 0 shows; an unknown value is a dot on the ground.
    """
    cells = [_column(value, height, top) for value in values]
    return ["".join(column[row] for column in cells) for row in range(height - 1, -1, -1)]


def _column(value: float | None, height: int, top: float) -> str:
    """Return the cells of a column, from the ground up."""
    if value is None:
        return "·".ljust(height)
    eighths = 0 if top <= 0 else round(min(value / top, 1.0) * height * 8)
    if value > 0:
        eighths = max(1, eighths)
    whole, part = divmod(eighths, 8)
    return (OURS * whole + (SPARKS[part - 1] if part else "")).ljust(height)


def resample(values: Sequence[float | None], width: int, *, total: bool) -> list[float | None]:
    """Return `values` in `width` columns; a shared column has their sum if `total`, else the highest."""
    if len(values) <= width:
        return [values[column * len(values) // width] for column in range(width)] if values else []
    shown: list[float | None] = []
    for column in range(width):
        part = values[column * len(values) // width : (column + 1) * len(values) // width]
        known = [value for value in part if value is not None]
        shown.append((sum(known) if total else max(known)) if known else None)
    return shown


STEPS = (1, 2, 2.5, 5, 10)
"""The first digits of the values between two ticks: multiples of these are read without thinking."""


def round_up(value: float) -> int:
    """Return the next round number: one of STEPS and zeros."""
    size = int("1" + "0" * (len(str(ceil(max(value, 1)))) - 1))
    rounds = (step * size for step in STEPS)
    return int(next(each for each in rounds if each >= value and each == int(each)))


def scale(highest: float, height: int) -> tuple[int, int]:
    """Return the value between two ticks, which is round, and the rows between them.

    Of the distances that leave room for two ticks or more, the one with which the plot is filled best.
    """
    distances = range(2, max(2, height // 2) + 1) if height > 1 else range(1, 2)
    tried = [(round_up(highest * rows / height), rows) for rows in distances if rows <= 5]
    return min(tried, key=lambda step: (step[0] / step[1], -step[1]))


def plot(values: Sequence[float | None], height: int, *, role: str) -> list[Row]:
    """Return the columns with their scale."""
    step, apart = scale(max([value for value in values if value is not None], default=0.0), height)
    lines = columns(values, height, step * height / apart)
    return _scaled([[(glyph, role) for glyph in line] for line in lines], step, apart)


def stacked(shown: Sequence[Column], height: int, *, levels: Sequence[Level], role: str) -> list[Row]:
    """Return columns of us and others with their scale, forecasts as dotted lines, and levels across them."""
    totals = [(column.ours or 0.0) + (column.others or 0.0) for column in shown]
    step, apart = scale(max([*totals, *(level.value for level in levels)], default=0.0), height)
    top = step * height / apart
    drawn = [_stack(column, height, top, role) for column in shown]
    grid = [[column[row] for column in drawn] for row in range(height - 1, -1, -1)]
    for row, same in groupby(levels, key=lambda level: height - 1 - _row_of(level.value, height, top)):
        _draw(grid[row], list(same))
    return _scaled(grid, step, apart)


def divided(rows: Sequence[Row], place: int, glyph: str, role: str) -> list[Row]:
    """Return the rows with a vertical line at a place; it covers what is there."""
    return [
        (row[0], *_runs([*cells[:place], (glyph, role), *cells[place + 1 :]]))
        for row in rows
        if (cells := [(character, look) for text, look in row[1:] for character in text])
    ]


def _row_of(value: float, height: int, top: float) -> int:
    """Return the row of cells that a value lies in, from the ground up."""
    return max(0, min(height - 1, ceil(value * height / top) - 1)) if top > 0 else 0


def _stack(column: Column, height: int, top: float, role: str) -> list[Cell]:
    """Return the cells of a column of a stacked plot, from the ground up."""
    if column.ours is None or column.others is None:
        return [("·", "dim"), *[(" ", "")] * (height - 1)]
    total = column.ours + column.others
    if column.is_forecast:
        cells: list[Cell] = [(" ", "")] * height
        cells[_row_of(column.ours, height, top)] = (OUR_FORECAST if column.ours else " ", role)
        if column.others or not column.ours:
            cells[_row_of(total, height, top)] = (FORECAST, "bold")
        return cells
    cells = [(glyph, role) for glyph in _column(column.ours, height, top)]
    if column.others > 0:
        begin = sum(glyph != " " for glyph, _ in cells)
        end = max(round(total * height / top), 1)
        # A part above 0 has a cell, unless ours fill the plot.
        for row in range(begin, min(height, max(end, begin + 1 if column.ours <= column.others else end))):
            cells[row] = (OTHERS, "off")
    return cells


def _draw(cells: list[Cell], levels: Sequence[Level]) -> None:
    """Draw levels into the blank cells of their row, and their names where there is room for them."""
    blank = [glyph == " " for glyph, _ in cells]
    name = f" {' · '.join(level.name for level in levels)} "
    begin = next(
        (at for at in range(2, len(cells) - len(name)) if all(blank[at - 1 : at + len(name) + 1])), None
    )
    for at, is_blank in enumerate(blank):
        if is_blank:
            cells[at] = (levels[0].glyph, "warn")
    for at, glyph in enumerate(name if begin is not None else ""):
        cells[(begin or 0) + at] = (glyph, "warn")


def _scaled(grid: Grid, step: int, apart: int) -> list[Row]:
    """Return the cells with the values of the ticks on their left; 0 stands at the foot, beside the times."""
    height = len(grid)
    rows: list[Row] = []
    for place, cells in enumerate(grid):
        level, is_tick = (height - place) // apart, (height - place) % apart == 0
        text = tick(step * level) if is_tick else ""
        rows.append(((right(text, AXIS - 1) + " ", "dim"), *_runs(cells)))
    return rows


def tick(value: float) -> str:
    """Return the value of a tick exactly, in five characters at most: `250 2.5k 12.5k 3M`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _runs(cells: Sequence[Cell]) -> Row:
    """Return the cells as spans, one for neighbours of one role."""
    return tuple(
        ("".join(glyph for glyph, _ in run), role) for role, run in groupby(cells, key=lambda cell: cell[1])
    )


def ticks(labels: Sequence[tuple[int, str]], width: int, zone: str = "") -> Row:
    """Return labels at their places under a plot of that width, as many as fit, the first ones first.

    On the left of them is 0, the foot of the scale, and on the right their time zone.
    """
    room = width - len(zone) - 1 if zone else width
    line = [" "] * room
    for place, label in labels:
        start = max(0, min(place, room - len(label)))
        if all(cell == " " for cell in line[max(0, start - 1) : start + len(label) + 1]):
            line[start : start + len(label)] = label
    text = "".join(line)
    return ((right("0", AXIS - 1) + " " + fit(f"{text} {zone}".rstrip(), width), "dim"),)
