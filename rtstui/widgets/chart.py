"""Numbers over time as columns of blocks, one style per series: a colour per cell would cost bandwidth."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from rtstui.format import SPARKS, fit, right, short
from rtstui.rows import Row, Span

AXIS = 6
"""Cells of the scale on the left."""


def columns(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """Return a line of text per row of cells, the highest first; a column per value.

    Anything above 0 shows; an unknown value is a dot on the ground.
    """
    lines: list[str] = []
    for row in range(height - 1, -1, -1):
        cells = []
        for value in values:
            if value is None:
                cells.append("·" if row == 0 else " ")
                continue
            eighths = 0 if top <= 0 else round(min(value / top, 1.0) * height * 8)
            if value > 0:
                eighths = max(1, eighths)
            part = min(8, max(0, eighths - row * 8))
            cells.append(" " if part == 0 else SPARKS[part - 1])
        lines.append("".join(cells))
    return lines


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


ROUND = (1, 2, 3, 4, 5, 6, 8)
"""The first digits of round numbers: close enough together that a plot fills most of its height."""


def round_up(value: float) -> int:
    """Return the next round number, of one digit and zeros."""
    size = int("1" + "0" * (len(str(ceil(max(value, 1)))) - 1))
    return next(digit * size for digit in (*ROUND, 10) if digit * size >= value)


def scale(highest: float, height: int) -> tuple[int, int]:
    """Return the value between two ticks, which is round, and the rows between them."""
    rows = max(1, height // 2)
    return round_up(highest * rows / height), rows


def plot(values: Sequence[float | None], height: int, *, role: str, mark: float | None = None) -> list[Row]:
    """Return the columns with their scale; `mark` draws a line at a value, such as a limit."""
    highest = max([value for value in values if value is not None], default=0.0)
    step, apart = scale(max(highest, mark or 0.0), height)
    top = step * height / apart
    lines = columns(values, height, top)
    rows: list[Row] = []
    for place, line in enumerate(lines):
        level = top * (height - place) / height
        ticked = (height - place) % apart == 0
        text = short(round(level)) if ticked else ""
        body: list[Span] = [(line, role)]
        if mark is not None and level - top / height < mark <= level:
            body = [(line.replace(" ", "─"), "warn")]
        rows.append(((right(text, AXIS - 1) + " ", "dim"), *body))
    return rows


def ticks(labels: Sequence[str], width: int, zone: str = "") -> Row:
    """Return labels spread evenly under a plot of that width, those that fit; on the left their time zone."""
    text = ""
    for place, label in enumerate(labels):
        start = place * width // len(labels)
        if (not text or len(text) < start) and start + len(label) <= width:
            text = text.ljust(start) + label
    return ((fit(zone, AXIS - 1) + " " + text.ljust(width), "dim"),)
