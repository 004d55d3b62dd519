"""The lines to type in that views open: a prompt, a filter in force while it is typed, that of a table."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from rtstui.clean import clean
from rtstui.filter import ROW_LEGEND, FilterMistake, RowFilter, parse_rows
from rtstui.format import fit
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table


class InputLine(Input):
    """A line to type in, over a view and only while it is needed. The view handles enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "done", id="line.submit", key_display="enter"),
        Binding("escape", "close", "cancel", id="line.close", key_display="esc"),
        Binding("tab,shift+tab", "complete", "complete", show=False, id="line.complete"),
    ]

    def __init__(self, placeholder: str, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id, placeholder=placeholder, select_on_focus=False, classes="line")
        self._hint = placeholder
        self.cursor_blink = False  # nothing moves on a screen at rest

    def open(self, text: str | None = None) -> None:
        """Show it and take the keys."""
        if text is not None:
            self.value = text
            self.cursor_position = len(text)
        self.add_class("-open")
        self.focus()

    def on_resize(self) -> None:
        """Cut the hint with an ellipsis where it does not fit."""
        self.placeholder = fit(self._hint, self.content_size.width).rstrip()

    def close(self) -> None:
        """Hide it and give the keys to the view's panels; the text stays."""
        if self.has_focus:
            self.screen.focus_next(Panel)
        self.remove_class("-open")

    def action_close(self) -> None:
        """Close it without an effect."""
        self.close()

    def action_complete(self) -> None:
        """Keep the keys: a press too many must not lead out of the line."""

    def leave(self) -> None:
        """Close it because another view is opened."""
        self.close()


class FilterLine(InputLine):
    """A line whose text is in force while it is typed, and until it is closed."""

    def action_close(self) -> None:
        """Close it; nothing is filtered any more."""
        self.value = ""
        self.close()

    def leave(self) -> None:
        """Give the keys back; the filter stays in force, and in sight."""
        if self.has_focus:
            self.screen.focus_next(Panel)


class RowFilterLine(FilterLine):
    """The filter of the table that has the focus."""

    def __init__(self) -> None:
        super().__init__(ROW_LEGEND, id="row-filter")
        self._table: Table | None = None

    def open_for(self, table: Table) -> None:
        """Take the words that filter this table."""
        self.follow(table)
        self.open(table.filter.text)

    def follow(self, table: Table) -> None:
        """Show the filter of this table, if it has one: the focus went there."""
        self._table = table
        with self.prevent(Input.Changed):
            self.value = table.filter.text
        self.set_class(bool(table.filter), "-open")
        self._say("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply the words; a mistake is explained, and the last good filter stays in force."""
        event.stop()
        try:
            chosen = parse_rows(event.value)
        except FilterMistake as error:
            self._say(clean(str(error)))
            return
        self._say("")
        if self._table is not None:
            self._table.set_filter(chosen)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the keys back to the table."""
        event.stop()
        self.close()

    def action_close(self) -> None:
        """Close it; every row is shown again."""
        if self._table is not None:
            self._table.set_filter(RowFilter())
        self.close()

    def leave(self) -> None:
        """Give the keys back; the filter stays in force."""
        if self.has_focus:
            self.close()

    def close(self) -> None:
        """Give the keys back to the table; the line stays in sight while it filters."""
        if self._table is not None:
            self.follow(self._table)
            self._table.focus()

    def _say(self, mistake: str) -> None:
        said = self.screen.query_one("#row-mistake", Static)
        said.update(mistake)
        said.set_class(bool(mistake), "-said")
