"""Rules and alerts, and the test of a rule against the past."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input

from rtstui.clean import clean
from rtstui.messages import RowChosen, RowOpened
from rtstui.screens.view import Leaf, open_record
from rtstui.typed_moment import EXAMPLES, on_wire, typed_moment
from rtstui.widgets.prompt import InputLine
from rtstui.widgets.rules import AlertTable, RuleCard, RuleTable, Tested


class RulesView(Leaf):
    """Rules and alerts, and how their deliveries fare."""

    HELP = (
        "Rules fire on changes of records, alerts on events of rtsd itself. T tests a rule against the "
        "journal: it shows the changes since a moment that would have fired it, and sends nothing."
    )
    AUTO_FOCUS = "RuleTable"
    body_id = "rules-view"
    OPENS = frozenset({"tested"})

    def body(self) -> ComposeResult:
        """Yield the rules, the alerts, the chosen one, the test."""
        yield InputLine(f"since when: {EXAMPLES}", id="since")
        yield RuleTable(id="rules")
        yield AlertTable(id="alerts")
        yield RuleCard(id="rule-card")
        yield Tested(id="tested")

    def on_row_chosen(self, message: RowChosen) -> None:
        """Show the rule under the cursor in full."""
        table = self.query_one(f"#{message.table}")
        if isinstance(table, RuleTable) and table.has_focus:
            card = self.query_one(RuleCard)
            card.chosen = table.find(message.key)
            card.tick()

    def on_row_opened(self, message: RowOpened) -> None:
        """Open the record of a change that matched."""
        open_record(self.app, self.query_one(Tested).find(message.key))

    def action_test(self) -> None:
        """Ask for the time to test from. Alerts do not depend on changes, so they can't be tested."""
        if isinstance(self.focused, AlertTable):
            self.notify("Alerts fire on events of rtsd itself: only rules can be tested.", markup=False)
        elif self.query_one("#rules", RuleTable).cursor is not None:
            self.query_one("#since", InputLine).open("24h")
        else:
            self.notify("There is no rule to test.", markup=False, timeout=4)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Test the rule under the cursor."""
        table, tested = self.query_one("#rules", RuleTable), self.query_one(Tested)
        try:
            at = typed_moment(event.value, tested.state.now())
        except ValueError as error:
            self.notify(f"{clean(str(error))}.", markup=False, timeout=4)
            return
        self.query_one("#since", InputLine).close()
        tested.rule = table.cursor or ""
        tested.since = on_wire(at)
        tested.focus()
        tested.tick()
