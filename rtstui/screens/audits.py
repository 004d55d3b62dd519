"""Audits and drift: what is proven, what was found, what was mended."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from rtstui.messages import RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.screens.view import Leaf
from rtstui.widgets.audits import Drift, Findings


class AuditsView(Leaf):
    """Is it right, and how do we know."""

    HELP = (
        "What the mirror's checks against the org found: records it lacks (missing), has otherwise (stale) "
        "or has alone (orphan). Held back are changes in fields that no sync condition watches. "
        "A checks by counts and repairs; F reads every row again. Both show their price first."
    )
    AUTO_FOCUS = "Drift"
    body_id = "audits-view"
    OPENS = frozenset({"drift", "findings"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("V", "app.verify", "verify…", id="audits.verify"),
    ]

    def body(self) -> ComposeResult:
        """The objects, and the findings."""
        yield Drift(id="drift")
        yield Findings(id="findings")

    def on_row_opened(self, message: RowOpened) -> None:
        """Enter on an object shows its events, on a finding all of it."""
        if message.table == "drift":
            self.app.call_later(self.app.run_action, f"events_of({message.key!r})")
            return
        table = self.query_one(Findings)
        event = table.find(message.key)
        if event is not None:
            self.app.push_screen(Reader(f"{event.object or 'All objects'}", table.full(message.key)))
