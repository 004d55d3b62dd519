"""The action log over any view, and the way back from an action."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from rtsd.control.protocol import Event
from rtstui.actions import Order
from rtstui.messages import RowChosen, RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.widgets.action_log import ActionCard, ActionTable
from rtstui.widgets.chrome import ReplyLine
from rtstui.widgets.panel import ROLE_CLASSES, SEPARATOR


class ActionLog(ModalScreen[None]):
    """What was done from this and other screens, by whom."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    OPENS: ClassVar[frozenset[str]] = frozenset({"actions"})
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (14, "-tall")]  # noqa: RUF012 (declared so by Textual)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "app.undo_action", "undo…", id="actions.undo"),
        Binding("escape,q,L", "leave", "close", show=False, id="actions.close"),
    ]

    def __init__(self, *, read_only: bool) -> None:
        super().__init__()
        self._read_only = read_only

    def compose(self) -> ComposeResult:
        """Yield the table, and the chosen action in full."""
        with Vertical(id="dialog"):
            yield ActionTable(id="actions")
            yield ActionCard(id="action-card")
            yield ReplyLine()

    def on_mount(self) -> None:
        """Keep it up to date: it is no view, which the app does that for."""
        self.query_one(ActionTable).focus()
        self.set_interval(0.5, self.tick)

    def tick(self) -> None:
        """Bring its panels up to date."""
        table, card = self.query_one(ActionTable), self.query_one(ActionCard)
        table.tick()
        card.chosen = self.chosen
        can_undo = not self._read_only and isinstance(card.way, Order)
        box = self.query_one("#dialog")
        box.border_title = Content(SEPARATOR.join(filter(None, table.border())))
        box.border_subtitle = Content(f"{'u undo · ' if can_undo else ''}enter full · esc close")
        card.tick()
        self.query_one(ReplyLine).tick()

    @property
    def chosen(self) -> Event | None:
        """The action under the cursor."""
        table = self.query_one(ActionTable)
        return table.find(table.cursor)

    def on_row_chosen(self, message: RowChosen) -> None:
        """Show the action in full."""
        message.stop()
        self.tick()

    def on_row_opened(self, message: RowOpened) -> None:
        """Show the whole sentence: a reason may be longer than its column."""
        message.stop()
        if (entry := self.chosen) is not None:
            self.app.push_screen(Reader(f"Action {entry.seq}", [((entry.message or "", ""),)]))

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)
