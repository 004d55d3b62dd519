"""The changes of a spell without pushes, over the view; enter on one opens its record."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from rtsd.control.protocol import Spell
from rtsd.core.figures import count
from rtsd.core.plural import plural
from rtstui.messages import RowOpened
from rtstui.rows import Row
from rtstui.screens.dialogs import Text
from rtstui.widgets.missed import Changes, summary
from rtstui.widgets.panel import ROLE_CLASSES


class SpellChanges(ModalScreen[tuple[str, str] | None]):
    """The first changes of a spell; the choice is the object and the id of one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    OPENS: ClassVar[frozenset[str]] = frozenset({"changes"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "close", show=False, id="spell.close")
    ]

    def __init__(self, spell: Spell) -> None:
        super().__init__()
        self._spell = spell

    def compose(self) -> ComposeResult:
        """Yield the spell in words, and its changes."""
        spell = self._spell
        number = plural(spell.changes, "change")
        shown = (
            f"the first {count(len(spell.first))} of {number}" if spell.changes > len(spell.first) else number
        )
        with Vertical(id="dialog") as box:
            box.border_title = Content(f"Without a push: {shown}")
            box.border_subtitle = Content("enter opens the record · esc closes")
            yield Text(())
            yield Changes(spell, id="changes")

    def on_mount(self) -> None:
        """Begin at the first change."""
        table = self.query_one(Changes)
        rows: list[Row] = [((line, ""),) for line in summary(self._spell, table)]
        self.query_one(Text).show([*rows, ()])
        table.focus()
        table.action_move(0)

    def on_row_opened(self, message: RowOpened) -> None:
        """Choose the record of this change."""
        change = self.query_one(Changes).find(message.key)
        self.dismiss((change.object, change.id))

    def action_leave(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
