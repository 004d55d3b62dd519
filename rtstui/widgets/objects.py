"""The table of mirrored objects, and all facts about the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from rtsd.control.protocol import Object
from rtsd.control.verdict import drift_of, found_by_check, in_trouble, is_proven, repaired_by_check
from rtsd.core.figures import UNKNOWN, age, count, day_clock, millis, percent, short, span
from rtsd.core.plural import plural
from rtstui import channel
from rtstui.format import bar, fit, right, wrap
from rtstui.meaning import DIFFERS_NOTE, OBJECT_NOTES, PROVING, PROVING_NOTE, as_of
from rtstui.rows import Row, Span, plain
from rtstui.verdict import DIFFERS, freshness, sign_of
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table

WIDE = 100
"""Width in cells from which there is room for three percentiles of freshness and the proven rows."""

NARROW = 72
"""Width in cells below which freshness gives its room to drift."""

WIDE_COLUMNS, COLUMNS, NARROW_COLUMNS = 92, 60, 42
"""Cells that the columns beside the name need."""

SHORTEST_NAME = 14

ORDERS = ("trouble", "name", "rows", "last change", "configuration")
"""The orders that the key s steps through. Trouble first: where there is room for few, those are needed."""

PULLED = "pull"
"""What the journal calls a change that Interval Sync has read, in small letters."""

WIDE_BAR = 20
"""Width in cells of a progress bar from which there is room for the rate beside it."""


_NOTES = {DIFFERS: DIFFERS_NOTE, PROVING: PROVING_NOTE}
"""What signs mean that are not those of a state alone."""


class Objects(Table):
    """One line per object: state, rows, age, freshness, drift."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("A", "app.audit", "audit…", id="objects.audit"),
        Binding("F", "app.audit(True)", "full audit…", show=False, id="objects.full_audit"),
        Binding("P", "app.pause", "pause/resume…", id="objects.pause"),
        Binding("E", "app.conditions_of", "conditions…", show=False, id="objects.conditions"),
        Binding("s", "sort", "sort", show=False, id="objects.sort"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self._order = ORDERS[0]

    def find(self, name: str) -> Object | None:
        """The object of a row."""
        status = self.state.status
        return next((item for item in status.objects if item.name == name), None) if status else None

    def keys(self) -> Sequence[str]:
        """The objects' names, in the chosen order."""
        objects = self.state.status.objects if self.state.status else []
        return [item.name for item in sorted(objects, key=_sorting(self._order))]

    def action_sort(self) -> None:
        """Sort by the next order; the cursor stays on its object."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.notify(f"Sorted by {self._order}.", markup=False, timeout=2)
        self.tick()

    def empty(self) -> str:
        """None are configured, or none are known yet."""
        if self.state.status is None:
            return "Waiting for rtsd…"
        return "No objects chosen. Add [[objects]] to rtsd's configuration."

    def titles(self) -> tuple[str, str]:
        """The number of objects and rows, and the age of outdated facts."""
        state, keys = self.state, self.keys()
        if state.status is None or not keys:
            return "Objects", ""
        rows = sum(item.rows for item in state.status.objects)
        below = f"{plural(len(keys), 'object')} · {plural(rows, 'row')}"
        if left_out := channel.left_out(state.status):
            below += f" · {left_out} by Interval Sync"
        if since := as_of(state):
            below = f"{since} · {below}"
        if not self._tight:
            return "Objects", self.part(keys) + below
        # A title begins one cell further right than the rows do.
        names = plain(self._columns(self.size.width)).rstrip().replace("  ", " ", 1)
        if self.has_lower_border:
            return names, self.part(keys) + below
        part = self.part(keys).replace(" to ", "-").replace(" of ", f"/{len(keys)}")
        return names, part

    @property
    def _tight(self) -> bool:
        """True on a screen so small that the columns' names stand in the border."""
        return self.app.size.height < 30 and self.app.size.width < 110

    def header(self, width: int) -> Row | None:
        """The columns' names."""
        return None if self._tight else self._columns(width)

    def _columns(self, width: int) -> Row:
        wide = width >= WIDE
        fresh = fit("FRESH p50/95/99", 22) + "  " if wide else right("p95", 7) + "  "
        fresh = fresh if width >= NARROW else ""
        # What was proven is as of then: what changed since is in the rows of now alone.
        rows = f"{'ROWS NOW':>11} {'PROVEN':>11} {'AGO':>4}" if wide else f"{'ROWS':>11}"
        name = self._name_width(width)
        text = f"{fit('OBJECT', name)} {'STATE':<12} {rows} {'AS OF':>6}  {fresh}DRIFT"
        return ((text, "head"),)

    def row(self, key: str, width: int) -> Row:
        """One object."""
        item = self.find(key)
        if item is None:
            return ((key, "dim"),)
        sign = sign_of(item)
        first: list[Span] = [
            (fit(item.name, self._name_width(width)) + " ", "bold"),
            (fit(self._state_of(item), 12) + " ", sign.role),
            (right(count(item.rows), 11) + " ", ""),
        ]
        if item.state in {"loading", "pending"} and item.progress < 1:
            return (*first, *_progress(item, max(8, min(30, width - self._name_width(width) - 50))))
        if item.error and item.as_of is None:  # there is nothing to measure: all room is the reason's
            return (*first, (item.error, "error"))
        wide = width >= WIDE
        if wide:
            rows, at = (item.expected_rows, item.counted_at) if is_proven(item) else (None, None)
            first.append((f"{count(rows):>11} {age(at, self.state.now()):>4} ", "dim"))
        first.append((right(age(item.as_of, self.state.now()), 6) + "  ", ""))
        if wide:
            first.append((fit(freshness(item), 22) + "  ", ""))
        elif width >= NARROW:
            fresh = millis(item.freshness_ms.p95) if item.freshness_ms else UNKNOWN
            first.append((right(fresh, 7) + "  ", ""))
        return (*first, *_drift(item, self))

    def _name_width(self, width: int) -> int:
        """Return the width of the longest name, as far as the other columns leave room."""
        others = WIDE_COLUMNS if width >= WIDE else COLUMNS if width >= NARROW else NARROW_COLUMNS
        objects = self.state.status.objects if self.state.status else ()
        longest = max((len(item.name) for item in objects), default=0)
        return max(SHORTEST_NAME, min(longest, width - others))

    def _state_of(self, item: Object) -> str:
        """Return an object's state; a live one that Interval Sync reads beside the channel says so."""
        status, said = self.state.status, sign_of(item).text
        if status is None or item.state != "live" or drift_of(item):
            return said
        return f"{said}, {PULLED}" if channel.is_left_out(status, item) else said


class ObjectCard(Panel):
    """The chosen object in full."""

    chosen: str | None = None

    def titles(self) -> tuple[str, str]:
        """The object's name."""
        return self.chosen or "Object", ""

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The meaning of its state, and all its numbers."""
        status = self.state.status
        objects = status.objects if status else []
        item = next((shown for shown in objects if shown.name == self.chosen), None)
        if status is None or item is None:
            return [(("Choose an object above.", "dim"),)]
        now = self.state.now()
        sign = sign_of(item)
        note = item.error or _NOTES.get(sign) or OBJECT_NOTES.get(item.state, "")
        rows: list[Row] = [((f"{sign.text}  ", sign.role),)]
        rows += [((f"  {line}", "error" if item.error else ""),) for line in wrap(note, width - 4)]
        known = "the org has not been asked"
        if item.expected_rows is not None:
            when = f"{age(item.counted_at, now)} ago" if item.counted_at else "at a time that is not known"
            known = f"the org counted {count(item.expected_rows)} {when}"
        rows.append((("rows        ", "dim"), (f"{count(item.rows)} here now, {known}", "")))
        if item.state == "loading":
            rows.append((("loading     ", "dim"), *_progress(item, 24)))
        shown = (
            f"{day_clock(item.as_of, now)} ({age(item.as_of, now)} ago)" if item.as_of else "not complete yet"
        )
        rows.append((("complete to ", "dim"), (shown, "")))
        changed = f"last {age(item.last_change_at, now)} ago" if item.last_change_at else "none seen"
        rows.append((("changes by  ", "dim"), channel.arrives_by(status, item), (f", {changed}", "")))
        rows.append(
            (("fresh       ", "dim"), (f"{freshness(item)}  (p50 / p95 / p99, from commit to mirror)", ""))
        )
        rows.append((("last check  ", "dim"), *_check(item, self)))
        return rows


def _sorting(order: str) -> Callable[[Object], Any]:
    """Return the sort key of an order; the largest and the worst come first."""
    match order:
        case "name":
            return lambda item: item.name.lower()
        case "rows":
            return lambda item: -item.rows
        case "last change":
            return lambda item: _reversed(item.last_change_at or "")
        case "trouble":
            return lambda item: (not in_trouble(item), -drift_of(item), -found_by_check(item))
        case _:
            return lambda _: 0


def _reversed(text: str) -> tuple[int, ...]:
    return tuple(-ord(character) for character in text) or (1,)


def _progress(item: Object, width: int) -> list[Span]:
    done = f"{percent(item.progress)}"
    of = f" of {short(item.expected_rows)}" if item.expected_rows else ""
    rate = f"  {short(item.rate)}/s" if item.rate and width >= WIDE_BAR else ""
    eta = f"  eta {span(item.eta_s)}" if item.eta_s is not None else ""
    return [(bar(item.progress, width), "track"), (f" {done:>4}{of}{eta}{rate}", "busy")]


def _drift(item: Object, table: Panel) -> list[Span]:
    """Return the findings of the last check, or the error."""
    if item.error:
        return [(item.error, "error")]
    if item.drift is None or item.drift.checked_at is None:
        return [(unchecked(item, table), "dim")]
    checked = age(item.drift.checked_at, table.state.now())
    if wrong := drift_of(item):
        return [(f"▲ {count(wrong)}, {checked} ago", "warn")]
    if sign_of(item) is PROVING:  # what an earlier check showed is no answer about now
        return [(UNKNOWN, "dim")]
    repaired = repaired_by_check(item)
    return [(f"✔ {count(repaired)} repaired, {checked}" if repaired else f"✔ none, {checked} ago", "dim")]


def unchecked(item: Object, panel: Panel) -> str:
    """Return what stands in for the findings of a check that was not made: the proof, if there is one."""
    return f"proven {age(item.proven_at, panel.state.now())} ago" if item.proven_at else "not checked"


def _check(item: Object, card: Panel) -> list[Span]:
    if item.drift is None or item.drift.checked_at is None:
        return [(f"none since the start, {unchecked(item, card)}", "")]
    found = item.drift
    text = f"{count(found.missing)} missing, {count(found.stale)} stale, {count(found.orphaned)} orphaned"
    text += f", {count(found.held_back)} unwatched" if found.held_back else ""
    repaired = ", repaired" if not drift_of(item) and repaired_by_check(item) else ""
    when = f"  {age(found.checked_at, card.state.now())} ago{repaired}"
    well = "dim" if sign_of(item) is PROVING else "ok"
    return [(text, "warn" if drift_of(item) else well), (when, "dim")]
