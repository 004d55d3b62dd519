"""An entry of the journal on a line: its time, source, record and outcome, and what it changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len

from rtsd.control.protocol import ChangeValues, Event
from rtsd.core.figures import age, clock, millis
from rtsd.core.plural import plural
from rtstui.clean import masked
from rtstui.format import fit, right
from rtstui.meaning import tag
from rtstui.rows import Row, Span, width_of
from rtstui.state import Line
from rtstui.value_text import change_text

WIDE = 110
"""Width in cells from which there is room for milliseconds, long object names, and values."""

NAMED_FROM = 140
"""Width in cells from which there is room for records' names beside their values."""

LEAST_FIELDS = 5
"""Width in cells below which a list of fields is useless and left out."""

LEAST_VALUES = 24
"""Width in cells below which values would be cut before the new one is seen: the fields are listed."""

NAME = 16
"""Width in cells of a record's name."""

LONGEST = 32
"""Characters of a value on a line that is too short for all of them: a long one must not hide the others."""


@dataclass(frozen=True, slots=True)
class RowStyle:
    """What the rows of a page have in common."""

    width: int
    now: datetime | None = None
    """The moment for ages, in place of times."""
    mask: bool = False
    named: bool = False
    """Whether there is a column for records' names."""


def event_row(line: Line, style: RowStyle, values: ChangeValues | None = None) -> Row:
    """Return an entry, or the number of missing ones, on a line."""
    if not isinstance(line, Event):
        why = "came while disconnected" if line.missed else "too fast to show"
        why = "not loaded: T loads them" if line.unloaded else why
        return ((f"── {plural(line.count, 'entry')} {why} ".ljust(style.width, "─"), "dim"),)
    wide, sign = style.width >= WIDE, tag(line)
    now = style.now
    when = clock(line.at, millis=wide, zone=False) if now is None else f"{age(line.at, now):>5}"
    head: list[Span] = [(f"{when} ", "dim"), (sign.word.ljust(6) + " ", sign.role)]
    if line.type == "change":
        return (*head, *_change(line, style, values, style.width - width_of(tuple(head))))
    name = f"{line.object} " if line.object else ""
    record = f"{line.id} " if line.id else ""
    return (*head, (name, "bold"), (record, "dim"), (line.message or line.outcome or line.type, ""))


def _change(event: Event, style: RowStyle, values: ChangeValues | None, width: int) -> Iterator[Span]:
    wide = style.width >= WIDE
    spans: list[Span] = [
        (fit(event.object or "", 18 if wide else 11) + " ", "bold"),
        (fit(event.op or "", 8) + " ", "bold" if event.op == "delete" else ""),
        (fit(event.id or "", 18) + " ", "dim"),
    ]
    if style.named:
        name = values.name if values is not None else None
        spans.append((fit((masked(name) if style.mask else name) or "", NAME) + " ", ""))
    spans.append((right(millis(event.latency_ms) if event.latency_ms is not None else "", 6) + "  ", ""))
    spans += _outcome(event)
    yield from spans
    left = width - width_of(tuple(spans))
    if values is not None and values.changed and left >= LEAST_VALUES:
        whole = " · ".join(changes(values, mask=style.mask))
        fits = len(whole) <= left and cell_len(whole) <= left
        yield (whole if fits else " · ".join(changes(values, mask=style.mask, longest=LONGEST)), "")
    elif left >= LEAST_FIELDS:
        yield (",".join(event.changed or ()) or (event.message or ""), "dim")


def changes(values: ChangeValues, *, mask: bool, longest: int | None = None) -> list[str]:
    """Return a text for each changed field, and one for those that are left out."""
    said = [change_text(name, change, mask=mask, longest=longest) for name, change in values.changed.items()]
    return [*said, f"{plural(values.more, 'more field')}"] if values.more else said


def _outcome(event: Event) -> list[Span]:
    """Return the outcome of a change, unless it was applied."""
    if event.outcome in {None, "applied"}:
        return []
    return [(f"{event.outcome} ", "warn" if event.outcome in {"unknown", "deferred"} else "off")]
