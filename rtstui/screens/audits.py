"""Audits and drift: proofs, findings, repairs."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from rtstui import ranges
from rtstui.messages import RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.screens.spell import SpellChanges
from rtstui.screens.view import Leaf
from rtstui.widgets.audits import Drift, Findings
from rtstui.widgets.missed import Spells


class AuditsView(Leaf):
    """The proof of each object, the pushes that were missed, and the findings of audits."""

    HELP = (
        "The findings of checks against the org: records that the mirror lacks (missing), that differ "
        "(stale) or that only it has (orphan). Unwatched changed only in fields that no sync condition "
        "names: no push was due, so they are no drift, and are repaired with the others. "
        "A checks by counts and repairs; F reads every row again. Both show their price first. "
        "Missed pushes are changes that came by no push, as `rtsd missed` lists them; enter shows which."
    )
    AUTO_FOCUS = "Drift"
    body_id = "audits-view"
    OPENS = frozenset({"drift", "spells", "findings"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("V", "app.verify", "verify…", id="audits.verify"),
        Binding("h", "hours", "24 h or 7 days", id="audits.hours"),
    ]

    def body(self) -> ComposeResult:
        """Yield the objects, the spells without pushes, and the findings."""
        yield Drift(id="drift")
        yield Spells(id="spells")
        yield Findings(id="findings")

    def on_row_opened(self, message: RowOpened) -> None:
        """Show the events of an object, the changes of a spell, or a finding in full."""
        if message.table == "drift":
            self.app.call_later(self.app.run_action, f"events_of({message.key!r})")
            return
        if message.table == "spells":
            if (spell := self.query_one(Spells).find(message.key)) is not None:
                self.app.push_screen(SpellChanges(spell), self._open)
            return
        table = self.query_one(Findings)
        event = table.find(message.key)
        if event is not None:
            self.app.push_screen(Reader(f"{event.object or 'All objects'}", table.full(message.key)))

    def _open(self, chosen: tuple[str, str] | None) -> None:
        """Open the record of the change that was chosen."""
        if chosen is not None:
            self.app.call_later(self.app.run_action, f"record({chosen[0]!r}, {chosen[1]!r})")

    def action_hours(self) -> None:
        """List the missed pushes of a day, or of a week."""
        spells = self.query_one(Spells)
        spells.hours = ranges.other(spells.hours)
        spells.tick()
