"""Audits and drift: proofs, findings, repairs."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from rtstui.messages import RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.screens.view import Leaf
from rtstui.widgets.audits import Drift, Findings


class AuditsView(Leaf):
    """The proof of each object, and the findings of audits."""

    HELP = (
        "The findings of checks against the org: records that the mirror lacks (missing), that differ "
        "(stale) or that only it has (orphan). Held back are changes in fields that no condition watches. "
        "A checks by counts and repairs; F reads every row again. Both show their price first."
    )
    AUTO_FOCUS = "Drift"
    body_id = "audits-view"
    OPENS = frozenset({"drift", "findings"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("V", "app.verify", "verify…", id="audits.verify"),
    ]

    def body(self) -> ComposeResult:
        """Yield the objects, and the findings."""
        yield Drift(id="drift")
        yield Findings(id="findings")

    def on_row_opened(self, message: RowOpened) -> None:
        """Show the events of an object, or a finding in full."""
        if message.table == "drift":
            self.app.call_later(self.app.run_action, f"events_of({message.key!r})")
            return
        table = self.query_one(Findings)
        event = table.find(message.key)
        if event is not None:
            self.app.push_screen(Reader(f"{event.object or 'All objects'}", table.full(message.key)))
