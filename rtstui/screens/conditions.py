"""Sync conditions: the fields whose change is pushed, and the channel by which it comes."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from rtstui.messages import RowChosen, RowOpened
from rtstui.screens.view import Leaf
from rtstui.widgets.channel import ChannelCard
from rtstui.widgets.conditions import Editing, Fields, Pending, Targets


class ConditionsView(Leaf):
    """Shows and edits the sync conditions of each object."""

    HELP = (
        "The org pushes a change when one of these fields changed; without any, every change is pushed. "
        "Space chooses, enter shows the difference and asks before anything is written in the org. "
        "Changes in other fields still arrive, with Interval Sync and audits."
    )
    AUTO_FOCUS = "Targets"
    body_id = "conditions-view"
    OPENS = frozenset({"targets", "fields"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "app.read_conditions", "read from the org…", id="conditions.read"),
        Binding("X", "app.switch_package", "push on/off…", id="conditions.switch"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.editing = Editing()

    def body(self) -> ComposeResult:
        """Yield the channel, the objects, the fields, the pending edits."""
        yield ChannelCard(id="channel")
        yield Targets(self.editing, id="targets")
        yield Fields(self.editing, id="fields")
        yield Pending(self.editing, id="pending")

    def on_row_chosen(self, message: RowChosen) -> None:
        """Show the fields of the object under the cursor."""
        if message.table == "targets" and message.key:
            self.editing.chosen = message.key
            self.query_one(Fields).restart()
            self.tick()

    def on_row_opened(self, message: RowOpened) -> None:
        """Go to the fields of an object; on a field, review the edits."""
        if message.table == "targets":
            self.query_one(Fields).focus()
        else:
            self.app.call_later(self.app.run_action, "apply_conditions")

    def show(self, name: str) -> None:
        """Go to this object."""
        self.query_one(Targets).choose(name)
        self.query_one(Fields).focus()

    def renew(self) -> None:
        """Have conditions and package loaded again."""
        documents = self.query_one(Fields).state.documents
        documents.expire("conditions ")
        documents.expire("package")
