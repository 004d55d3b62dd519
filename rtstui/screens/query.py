"""SQL over the mirror, read-only."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from rtstui.messages import RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.screens.view import Leaf
from rtstui.widgets.prompt import InputLine
from rtstui.widgets.result import ResultTable


class QueryView(Leaf):
    """A query and its result."""

    HELP = (
        "One SELECT over the mirror: a table per object, and _rts_journal, _rts_ledger and others of "
        "rtsd's own. Read-only, 5 seconds at most, no API call. Left and right move over the columns, "
        "enter shows a row in full, w saves all of it as CSV."
    )
    AUTO_FOCUS = "ResultTable"
    body_id = "query-view"
    OPENS = frozenset({"result"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "type", "type SQL", id="sql.type"),
        Binding("R", "again", "run again", id="sql.again"),
    ]

    def body(self) -> ComposeResult:
        """Yield the line to type in, and the result."""
        yield InputLine("SELECT …", id="sql")
        yield ResultTable(id="result")

    def action_filter(self) -> None:
        """Filter the rows; without any, open the line."""
        if self.filterable is not None:
            super().action_filter()
        else:
            self.action_type()

    def action_type(self) -> None:
        """Open the line, with the last query to edit."""
        self.query_one("#sql", InputLine).open()

    def action_again(self) -> None:
        """Run the same query again."""
        table = self.query_one(ResultTable)
        if table.sql:
            table.ask(table.sql)
        else:
            self.notify("Nothing was run yet: i types a SELECT.", markup=False, timeout=4)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run the query."""
        self.query_one("#sql", InputLine).close()
        table = self.query_one(ResultTable)
        table.focus()
        if event.value.strip():
            table.ask(event.value.strip())

    def on_row_opened(self, message: RowOpened) -> None:
        """Show a row in full."""
        table = self.query_one(ResultTable)
        self.app.push_screen(Reader(f"Row {int(message.key) + 1}", table.full(message.key)))
