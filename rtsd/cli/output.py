"""Output for people: aligned tables, colours on a terminal only, times, and clean text."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from rtsd.core.instant import from_iso
from rtsd.logs import clean

Cell = str | int | None

_COLOURS = {
    "green": frozenset({"live", "real_time", "applied", "ok", "installed", "idle", "filtered"}),
    "yellow": frozenset({"pending", "loading", "paused", "deferred", "interval", "awaiting_package"}),
    "red": frozenset({"error", "incomplete", "unreachable", "silent", "disabled", "missing", "unknown"}),
}

_ROLES = {"ok": "green", "busy": "cyan", "warn": "yellow", "error": "red"}
"""By the role of a verdict (`rtsd.control.verdict`)."""


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return `rows` under `headers`: numbers to the right, empty cells as a dash."""
    lines = [list(headers), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    numeric = [_is_numeric([row[column] for row in rows]) for column in range(len(headers))]
    return "\n".join(
        "  ".join(_pad(*cell) for cell in zip(line, widths, numeric, strict=True)).rstrip() for line in lines
    )


def coloured(word: str) -> str:
    """Return a state's word in the colour of its meaning, if stdout has colours."""
    if not has_colours():
        return word
    colour = next((colour for colour, words in _COLOURS.items() if word in words), None)
    return click.style(word, fg=colour) if colour else word


def in_role(text: str, role: str) -> str:
    """Return a text in the colour of a verdict's role, if stdout has colours."""
    return click.style(text, fg=_ROLES[role], bold=True) if role in _ROLES and has_colours() else text


def has_colours() -> bool:
    """Return True if stdout is a terminal that wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def ago(now: str, then: str | None) -> str:
    """Return the age of the moment `then`, both ISO 8601: `3 s ago`, `never`."""
    if then is None:
        return "never"
    return f"{span(max(0, from_iso(now) - from_iso(then)))} ago"


def span(milliseconds: int) -> str:
    """Return a duration in a single unit, rounded down: `640 ms`, `3 s`, `12 min`, `5 h`, `2 d`."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds >= size:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds} ms"


def _text(cell: Cell) -> str:
    if cell is None or cell == "":
        return "-"
    return f"{cell:,}" if isinstance(cell, int) else clean(cell)


def _is_numeric(cells: Sequence[Cell]) -> bool:
    return any(isinstance(cell, int) for cell in cells)


def _pad(text: str, width: int, right: bool) -> str:  # noqa: FBT001 - zipped with its column
    padding = " " * (width - len(text))
    return padding + text if right else coloured(text) + padding
