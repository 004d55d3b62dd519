"""The three answers at the top of every view: right, fresh, cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from rtsd.control.protocol import Status
from rtsd.control.verdict import GLYPHS, Verdict, cost, fresh, right
from rtstui.format import block
from rtstui.meaning import as_of, link_sign
from rtstui.rows import Row, Span, cut, spread, width_of
from rtstui.widgets.panel import SEPARATOR, Panel

BARE = "-bare"
"""The class of a screen that has room for the three answers, and nothing else."""

INDENT = 10
"""Cells before an answer's first fact: its sign and its name."""

Named = tuple[tuple[str, Verdict], ...]


class Verdicts(Panel):
    """Right, fresh, cost: the three answers at a glance, a line for each where there is room."""

    FRAMED = DATED = False

    def __init__(self, *, leads: bool) -> None:
        super().__init__()
        self._leads = leads
        """True in the view that they lead: there they have their lines on a low screen too."""

    def wanted(self) -> int:
        """A line for each; one for all in the other views of a low screen."""
        if self.screen.has_class(BARE):
            return self.app.size.height
        return 3 if self._leads or self.screen.has_class("-tall") else 1

    def paint(self, width: int, height: int) -> list[Row]:
        """In the form that fits the room."""
        status = self.state.status
        if status is None:
            return []
        named = self._named(status)
        if height == 1:
            return [_line(named, width)]
        if self.screen.has_class(BARE):
            return [row for name, verdict in named for row in _wrapped(name, verdict, width, height // 3)]
        return [answer_row(name, verdict, width) for name, verdict in named]

    def _named(self, status: Status) -> Named:
        """Return the answers by their names; those of a daemon that is away are dated, and not well."""
        now, state = self.state.now(), self.state
        named = (("right", right(status, now)), ("fresh", fresh(status, now)), ("cost", cost(status, now)))
        if state.live:
            return named
        lost = f"{link_sign(state).text} {as_of(state)}".rstrip()
        return tuple(
            (name, verdict._replace(role="off", key="", facts=(lost, *verdict.facts)))
            for name, verdict in named
        )


def answer_row(name: str, verdict: Verdict, width: int) -> Row:
    """Return an answer in one line, with its key at the end."""
    facts, key = verdict.facts, _key(verdict.key)
    room = width - width_of(key) - 2
    if verdict.subject and len(facts) > 2:
        # The key is of the second fact, the culprit: beside a further one it says so, or stands alone.
        named = _key(f"{verdict.key} {verdict.subject}")
        named_room = width - width_of(named) - 2
        if width_of(((SEPARATOR.join((*facts[:3], "…")), ""),)) <= named_room - INDENT:
            key, room = named, named_room
        else:
            facts = (*facts[:2], "…")
    said = (*_head(name, verdict), (_fitting(facts, room - INDENT), ""))
    return spread(cut(said, room), key, width)


def _fitting(facts: Sequence[str], room: int) -> str:
    """Return the facts that fit, "…" in place of the others; of the first two at least the beginning."""
    said = SEPARATOR.join(facts)
    for number in range(len(facts) - 1, 1, -1):
        if width_of(((said, ""),)) <= room:
            break
        said = SEPARATOR.join((*facts[:number], "…"))
    return said


def _head(name: str, verdict: Verdict) -> Row:
    return ((f" {GLYPHS[verdict.role]} ", verdict.role), (f"{name:<{INDENT - 3}}", "bold"))


def _key(text: str) -> Row:
    """Return a hint on a key, such as `A repairs`, with the key in bold."""
    key, _, action = text.partition(" ")
    return ((key, "bold"), (f" {action} ", "")) if key else ()


def _wrapped(name: str, verdict: Verdict, width: int, height: int) -> list[Row]:
    """Return an answer in `height` lines, broken between words."""
    first, rest = verdict.facts[:2], verdict.facts[2:]
    lines = block(SEPARATOR.join(filter(None, (*first, verdict.key, *rest))), width - INDENT, height)
    shown = [*lines, *[""] * (height - len(lines))]
    rows = [cut((*_head(name, verdict), (shown[0], "")), width)]
    return rows + [cut(((" " * INDENT, ""), (line, "")), width) for line in shown[1:]]


FORMS = tuple(product(("brief", "tiny"), repeat=3))
"""The forms of the three answers in one line."""

FIRST_SHORT = (1, 2, 0)
"""Of answers that are equally well: `fresh` gives up its room first, `right` last."""


def _line(named: Named, width: int) -> Row:
    """Return all answers in one line, in the longest form that fits; what is not well is cut last."""

    def order(forms: Sequence[str]) -> tuple[int, int, list[int]]:
        tiny = [place for place, form in enumerate(forms) if form == "tiny"]
        unwell = sum(named[place][1].role != "ok" for place in tiny)
        return unwell, len(tiny), [FIRST_SHORT.index(place) for place in tiny]

    rows = [_together(named, forms) for forms in (*sorted(FORMS, key=order), ("none",) * 3)]
    return next((row for row in rows if width_of(row) <= width), rows[-1])


def _together(named: Named, forms: Sequence[str]) -> Row:
    spans: list[Span] = []
    for (name, verdict), form in zip(named, forms, strict=True):
        said = {"brief": verdict.brief, "tiny": verdict.tiny}.get(form, "")
        spans += [(f" {GLYPHS[verdict.role]} ", verdict.role), (f"{name} ", "bold"), (said, ""), (" ", "")]
    return tuple(spans[:-1])
