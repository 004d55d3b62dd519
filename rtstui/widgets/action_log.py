"""The action log: who did what, through which program, what it cost and how it ended."""

from __future__ import annotations

from collections.abc import Mapping

from rtsd.control.protocol import Actions, Event
from rtsd.core.figures import age, day_clock
from rtsd.core.plural import plural
from rtstui import documents
from rtstui.actions import Order
from rtstui.document_cache import CachedDocument
from rtstui.format import fit, right, wrap
from rtstui.meaning import veiled
from rtstui.rows import BLANK, Row, Span
from rtstui.undo import detail_of, way_back
from rtstui.widgets.document_table import DocumentTable
from rtstui.widgets.panel import SEPARATOR, Panel

WIDE, NARROW, NARROWEST = 110, 66, 50
"""Widths in cells from which the program has room, below which the cost has none, nor has the end's name."""

ENDS = {"done": ("✔", "ok"), "running": ("◐", "busy"), "refused": ("▲", "warn"), "failed": ("✖", "error")}
"""The glyph and the role of each outcome."""


class ActionTable(DocumentTable[Actions, Event]):
    """One line per action, newest first; the cursor stays on the newest until it is moved."""

    _moved = False

    def choose(self, key: str) -> None:
        """Put the cursor on a row, and keep it there."""
        self._moved = True
        super().choose(key)

    def paint(self, width: int, height: int) -> list[Row]:
        """The rows, with the cursor on the newest: an older log is shown while the new one comes."""
        if not self._moved and self.cursor != next(iter(self.shown()), None):
            self.restart()
        return super().paint(width, height)

    def document(self) -> CachedDocument[Actions]:
        """The log, loaded while it is in sight."""
        return self.load(documents.actions())

    def entries_of(self, value: Actions) -> Mapping[str, Event]:
        """The actions by their numbers."""
        return {str(entry.seq): veiled(entry, mask=self.masking) for entry in value.actions}

    def nothing(self, value: Actions) -> str:  # noqa: ARG002
        """There are none yet."""
        return "No action yet. What anybody does from here, or by the commands of rtsd, is listed here."

    def titles(self) -> tuple[str, str]:
        """The number of actions, once they are loaded."""
        document, keys = self.document(), self.keys()
        if document.value is None:
            return "Action log", ""
        number = self.part(keys) + plural(len(keys), "action")
        return self.dated("Action log"), documents.as_of(document, self.state) + number

    def header(self, width: int) -> Row | None:
        """The columns' names, if there are rows."""
        if not self.entries():
            return None
        when, who, what, cost, _ = _columns(width, ages=self.ages or width < NARROWEST)
        costs = f"{right('CALLS', cost)}  " if cost else ""
        end = "END" if width >= NARROWEST else ""
        return ((f"{right('TIME', when)} {fit('WHO', who)} {fit('WHAT', what)} {costs}{end}", "head"),)

    def row(self, key: str, width: int) -> Row:
        """One action on a line; a narrow table leaves out the cost."""
        entry = self.entries()[key]
        now = self.state.now()
        ages = self.ages or width < NARROWEST
        when, who, what, cost, end = _columns(width, ages=ages)
        moment = age(entry.at, now) if ages else day_clock(entry.at, now, zone=False)
        text, role = _end(entry)
        costs: Row = ((right(_cost(entry), cost) + "  ", "dim"),) if cost else ()
        return (
            (right(moment, when) + " ", "dim"),
            (fit(_author(entry, program=width >= WIDE), who) + " ", "bold"),
            (fit(described(entry), what) + " ", ""),
            *costs,
            (fit(text, end) if width >= NARROWEST else text[:1], role),
        )


class ActionCard(Panel):
    """The chosen action in full, and how it can be undone."""

    FRAMED = False

    chosen: Event | None = None

    @property
    def way(self) -> Order | str | None:
        """How the chosen action is undone, or why it cannot be; None if none is chosen."""
        return way_back(self.chosen, self.state.status) if self.chosen else None

    def wanted(self) -> int:
        """What was done, its facts, and two lines for the way back."""
        return len(self._lines(self.size.width or self.app.size.width - 8))

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """What was done, its facts, and the way back or why there is none."""
        return self._lines(width)

    def _lines(self, width: int) -> list[Row]:
        if self.chosen is None:
            return [BLANK]
        entry, way = self.chosen, self.way
        text, role = (f"u: {way.question}", "accent") if isinstance(way, Order) else (way or "", "dim")
        about = [day_clock(entry.at, self.state.now()), _author(entry, program=True), *_facts(entry)]
        end, end_role = _end(entry)
        return [
            ((described(entry), "bold"),),
            ((SEPARATOR.join(about) + SEPARATOR, "dim"), (end, end_role)),
            *(((line, role),) for line in wrap(text, max(10, width))),
        ]


def described(entry: Event) -> str:
    """Return what was done, without who did it."""
    return str(detail_of(entry, "what") or entry.message or "")


def _columns(width: int, *, ages: bool) -> tuple[int, int, int, int, int]:
    """Return the widths of time, author, action, cost and end."""
    when, who, cost = 5 if ages else 11, 20 if width >= WIDE else 8, 0 if width < NARROW else 5
    rest = max(12, width - when - who - 3 - (cost + 2 if cost else 0))
    end = max(9, min(rest // 3, 60)) if width >= NARROWEST else 1
    return when, who, rest - end, cost, end


def _author(entry: Event, *, program: bool) -> str:
    user, through = str(detail_of(entry, "by") or "?"), detail_of(entry, "program")
    return f"{user} ({through})" if program and through else user


def _cost(entry: Event) -> str:
    calls = detail_of(entry, "api_calls")
    return f"{calls:,}" if isinstance(calls, int) else ""


def _facts(entry: Event) -> list[str]:
    """Return what is known of the cost and of the result."""
    calls, repaired = detail_of(entry, "api_calls"), detail_of(entry, "repaired")
    said = [plural(calls, "API call")] if isinstance(calls, int) else []
    return [*said, plural(repaired, "difference")] if isinstance(repaired, int) else said


def _end(entry: Event) -> Span:
    """Return how an action ended."""
    outcome = entry.outcome or "?"
    glyph, role = ENDS.get(outcome, ("?", "warn"))
    reason, run = detail_of(entry, "reason"), detail_of(entry, "run")
    if reason:
        outcome = f"{outcome}: {reason}"
    elif outcome == "running":
        view = "4" if detail_of(entry, "action") == "retry" else "7"
        outcome = f"begun, run {run}: {view} has its end" if run else f"begun: {view} has its end"
    elif ended := detail_of(entry, "ended"):
        outcome = f"{outcome}: {ended}"
    elif detail_of(entry, "ok") is False:
        glyph, role, outcome = "▲", "warn", "done: not everything is right"
    return f"{glyph} {outcome}", role
