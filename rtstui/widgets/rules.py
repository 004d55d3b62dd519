"""Rules and alerts: what fires, where it goes, how its deliveries fare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from rtsd.control.protocol import Event, Rule, Rules, RuleTest
from rtstui import documents
from rtstui.answers import Answer
from rtstui.format import UNKNOWN, age, count, day_clock, fit, plural, right, short, wrap
from rtstui.meaning import source_sign
from rtstui.rows import Row, Span
from rtstui.widgets.asked import dated, lacking
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table

WIDE = 96
"""Cells from which there is room for the target."""


class RuleTable(Table):
    """Rules, or alerts: one line each."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("T", "screen.test", "test", id="rules.test")]

    alerts: ClassVar[bool] = False

    def told(self) -> Answer[Rules]:
        """What rtsd knows of them."""
        return self.answer(documents.rules())

    def _rules(self) -> dict[str, Rule]:
        value = self.told().value
        return {rule.name: rule for rule in (value.alerts if self.alerts else value.rules)} if value else {}

    def find(self, key: str | None) -> Rule | None:
        """The rule of one row."""
        return self._rules().get(key or "")

    def keys(self) -> Sequence[str]:
        """Their names."""
        return list(self._rules())

    def empty(self) -> str:
        """None are configured, or why they are not known."""
        told = self.told()
        if told.value is None:
            return lacking(told, self.state)
        what = "[[alerts]]" if self.alerts else "[[rules]]"
        return f"None. {what} in rtsd's configuration makes some; config/rtsd.toml has an example."

    def titles(self) -> tuple[str, str]:
        """How many, and how many have trouble."""
        rules = self._rules()
        bad = sum(trouble(rule) is not None for rule in rules.values())
        name = "Alerts" if self.alerts else "Rules"
        said = plural(len(rules), name[:-1].lower()) + (f" · ▲ {bad} in trouble" if bad else "")
        return name, dated(self.told(), self.state) + self.part(self.keys()) + (said if rules else "")

    def header(self, width: int) -> Row | None:
        """The columns' names, where there are rows."""
        if not self._rules():
            return None
        target = f"  {fit('TARGET', 26)}" if width >= WIDE else ""
        numbers = f"{'FIRED':>6} {'SENT':>6} {'WAIT':>5} {'DEAD':>5} {'LAST':>5}"
        titles = f"  {fit('NAME', 20)} {fit('ON', 18)} {numbers}"
        return ((titles + target, "head"),)

    def row(self, key: str, width: int) -> Row:
        """One rule with its last 24 hours."""
        rule = self._rules()[key]
        wrong = trouble(rule)
        on = f"{rule.object} " if rule.object else ""
        spans: list[Span] = [
            ("● " if wrong is None else "▲ ", "ok" if wrong is None else "warn"),
            (fit(rule.name, 20) + " ", "bold"),
            (fit(on + ",".join(rule.on), 18) + " ", ""),
            (right(short(rule.fired_24h), 6) + " ", ""),
            (right(short(rule.delivered_24h), 6) + " ", ""),
            (right(short(rule.pending), 5) + " ", "busy" if rule.pending else "dim"),
            (right(short(rule.dead_letters), 5) + " ", "error" if rule.dead_letters else "dim"),
            (right(age(rule.last_fired_at, self.state.now()), 5), "dim"),
        ]
        if width >= WIDE:
            spans.append((f"  {fit(f'{rule.action} {rule.target}', 26)}", "dim"))
        return tuple(spans)


class AlertTable(RuleTable):
    """What the daemon's own events fire."""

    alerts = True


def trouble(rule: Rule) -> str | None:
    """Why a rule does not do its work, in words; None while it does."""
    if rule.error:
        return rule.error
    if rule.circuit != "closed":
        return f"its target refuses everything (circuit {rule.circuit}); it is tried now and then"
    if rule.dead_letters:
        return f"{plural(rule.dead_letters, 'delivery')} nobody took: see the dead letters (4)"
    return None


class RuleCard(Panel):
    """The chosen rule in full."""

    chosen: Rule | None = None

    def titles(self) -> tuple[str, str]:
        """Its name."""
        return (self.chosen.name if self.chosen else "Rule"), ""

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Condition, target, deliveries, trouble."""
        rule = self.chosen
        if rule is None:
            return [(("Choose a rule or an alert above.", "dim"),)]
        wrong = trouble(rule)
        rows: list[Row] = [((line, "warn"),) for line in wrap(f"▲ {wrong}", width)] if wrong else []
        on = " of ".join(filter(None, (", ".join(rule.on), rule.object)))
        rows += _labelled("fires on", on or UNKNOWN, width)
        if rule.when:
            rows += _labelled("when", rule.when, width)
        rows += _labelled("sends to", f"{rule.action} {rule.target}", width)
        last = day_clock(rule.last_fired_at, self.state.now()) if rule.last_fired_at else "never"
        said = (
            f"fired {count(rule.fired_24h)}, delivered {count(rule.delivered_24h)}, "
            f"{count(rule.failed_24h)} needed another try, {count(rule.pending)} waiting; last fired {last}"
        )
        return rows + _labelled("in 24 h", said, width)


def _labelled(label: str, text: str, width: int) -> list[Row]:
    lines = wrap(text, max(20, width - 10)) or [""]
    return [((fit(label if not place else "", 10), "dim"), (line, "")) for place, line in enumerate(lines)]


class Tested(Table):
    """What a rule would have fired on."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.rule = self.since = ""

    def told(self) -> Answer[RuleTest] | None:
        """What came of the test."""
        return self.answer(documents.rule_test(self.rule, self.since)) if self.rule else None

    def _entries(self) -> dict[str, Event]:
        told = self.told()
        found = told.value.entries if told is not None and told.value is not None else []
        return {str(event.seq): event for event in reversed(found)}

    def find(self, key: str | None) -> Event | None:
        """The entry of one row."""
        return self._entries().get(key or "")

    def keys(self) -> Sequence[str]:
        """The entries' numbers."""
        return list(self._entries())

    def empty(self) -> str:
        """How to test, or what came of it."""
        told = self.told()
        if told is None:
            return "T on a rule shows what it would have fired on. Nothing is sent."
        if told.value is None:
            return lacking(told, self.state)
        return f"None of {plural(told.value.considered, 'change')} matches. Nothing was sent."

    def titles(self) -> tuple[str, str]:
        """Which rule, since when, how many."""
        told = self.told()
        if told is None or told.value is None:
            return "Test", ""
        found = told.value
        more = ", older left out" if found.truncated else ""
        below = (
            f"{count(found.matched)} of {plural(found.considered, 'change')} match{more} · nothing was sent"
        )
        since = day_clock(found.since, self.state.now())
        return f"Test of {found.rule} since {since}", self.part(self.keys()) + below

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One change that matches."""
        event = self._entries()[key]
        sign = source_sign(event.source)
        return (
            (f"{day_clock(event.at, self.state.now()):>11} ", "dim"),
            (sign.word.ljust(6) + " ", sign.role),
            (fit(event.op or "", 8) + " ", ""),
            (fit(event.id or "", 18) + " ", "dim"),
            (", ".join(event.changed or ()), ""),
        )
