"""Rules and alerts, their deliveries, and the test of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType

from rtsd.control.protocol import Event, Rules, RuleStatus, RuleTest
from rtsd.core.figures import UNKNOWN, age, count, day_clock, short
from rtsd.core.plural import plural
from rtstui import documents
from rtstui.document_cache import CachedDocument
from rtstui.format import fit, right, wrap
from rtstui.meaning import source_sign
from rtstui.rows import Row, Span
from rtstui.widgets.document_table import DocumentTable
from rtstui.widgets.panel import Panel

WIDE = 96
"""Width in cells from which there is room for the target."""


class RuleTable(DocumentTable[Rules, RuleStatus]):
    """Rules, or alerts, one line each."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("T", "screen.test", "test", id="rules.test")]

    alerts: ClassVar[bool] = False

    def document(self) -> CachedDocument[Rules]:
        """Rules and alerts as rtsd knows them."""
        return self.load(documents.rules())

    def entries_of(self, value: Rules) -> Mapping[str, RuleStatus]:
        """The rules, or the alerts, by name."""
        return {rule.name: rule for rule in (value.alerts if self.alerts else value.rules)}

    def nothing(self, value: Rules) -> str:  # noqa: ARG002
        """None are configured."""
        section = "[[alerts]]" if self.alerts else "[[rules]]"
        return f"None. {section} in rtsd's configuration makes some; config/rtsd.toml has an example."

    def titles(self) -> tuple[str, str]:
        """The number of rules, and of those in trouble."""
        rules = self.entries()
        bad = sum(trouble(rule) is not None for rule in rules.values())
        name = "Alerts" if self.alerts else "Rules"
        said = plural(len(rules), name[:-1].lower()) + (f" · ▲ {bad} in trouble" if bad else "")
        outdated = documents.as_of(self.document(), self.state)
        return name, outdated + self.part(self.keys()) + (said if rules else "")

    def header(self, width: int) -> Row | None:
        """The columns' names, if there are rows."""
        if not self.entries():
            return None
        target = "  TARGET" if width >= WIDE else ""
        numbers = f"{'FIRED':>6} {'SENT':>6} {'WAIT':>5} {'DEAD':>5} {'LAST':>5}"
        titles = f"  {fit('NAME', 20)} {fit('ON', 18)} {numbers}"
        return ((titles + target, "head"),)

    def row(self, key: str, width: int) -> Row:
        """One rule, and its last 24 hours."""
        rule = self.entries()[key]
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
            spans.append((f"  {rule.action} {rule.target}", "dim"))
        return tuple(spans)


class AlertTable(RuleTable):
    """The alerts, which the daemon's own events fire."""

    alerts = True


def trouble(rule: RuleStatus) -> str | None:
    """Return why a rule does not work; None while it does."""
    if rule.error:
        return rule.error
    if rule.circuit != "closed":
        return f"its target refuses everything (circuit {rule.circuit}); it is only probed"
    if rule.dead_letters:
        return f"{plural(rule.dead_letters, 'delivery')} failed for good: see the dead letters (4)"
    return None


class RuleCard(Panel):
    """The chosen rule in full."""

    chosen: RuleStatus | None = None

    def titles(self) -> tuple[str, str]:
        """The rule's name."""
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


class Tested(DocumentTable[RuleTest, Event]):
    """The changes that would have fired a rule, newest last."""

    NEWEST_LAST = True

    def __init__(self, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.rule = self.since = ""

    def document(self) -> CachedDocument[RuleTest] | None:
        """The result of the test."""
        return self.load(documents.rule_test(self.rule, self.since)) if self.rule else None

    def entries_of(self, value: RuleTest) -> Mapping[str, Event]:
        """The changes by their numbers."""
        return {str(event.seq): event for event in value.entries}

    def empty(self) -> str:
        """How to test, or the outcome."""
        if not self.rule:
            return "T on a rule shows the changes that would have fired it. Nothing is sent."
        return super().empty()

    def nothing(self, value: RuleTest) -> str:
        """The outcome."""
        return f"No match in {plural(value.considered, 'change')}. Nothing was sent."

    def titles(self) -> tuple[str, str]:
        """The rule, the time, and the number of changes."""
        document = self.document()
        if document is None or document.value is None:
            return "Test", ""
        found = document.value
        more = ", older left out" if found.truncated else ""
        below = f"{count(found.matched)} matching of {plural(found.considered, 'change')}{more}"
        below += " · nothing was sent"
        since = day_clock(found.since, self.state.now())
        return f"Test of {found.rule} since {since}", self.part(self.keys()) + below

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One change that matches."""
        event = self.entries()[key]
        sign = source_sign(event.source)
        return (
            (f"{day_clock(event.at, self.state.now(), zone=False):>11} ", "dim"),
            (sign.word.ljust(6) + " ", sign.role),
            (fit(event.op or "", 8) + " ", ""),
            (fit(event.id or "", 18) + " ", "dim"),
            (", ".join(event.changed or ()), ""),
        )
