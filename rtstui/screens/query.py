"""SQL over the mirror, read-only."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from rtstui import sql_history
from rtstui.messages import RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.screens.view import Leaf
from rtstui.widgets.result import ResultTable
from rtstui.widgets.sql_editor import Names, SqlEditor


class QueryView(Leaf):
    """A query and its result."""

    HELP = (
        "One SELECT over the mirror: a table per object, and _rts_journal, _rts_ledger and others of "
        "rtsd's own. Read-only, 5 seconds at most, no API call. Type it, or i does: enter runs one line, or "
        "what ends with a semicolon; ctrl+r or F5 runs anything; ctrl+n begins a line; tab completes names "
        "of tables and columns; up and down at the edges show what was run before. In the rows, left and "
        "right move over the columns, enter opens the record of a row, d shows the row in full, / filters "
        "the rows, w saves them as CSV."
    )
    AUTO_FOCUS = "SqlEditor"
    body_id = "query-view"
    OPENS = frozenset({"result"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "type", "type SQL", id="sql.type"),
        Binding("R", "again", "run again", id="sql.again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._history = sql_history.SqlHistory(sql_history.path())

    def body(self) -> ComposeResult:
        """Yield the editor, the names that complete it, and the result."""
        names = Names(id="sql-names")
        yield SqlEditor(self._history, names, id="sql")
        yield names
        yield ResultTable(id="result")

    def action_filter(self) -> None:
        """Filter the rows; without any, type a statement."""
        if self.filterable is not None:
            super().action_filter()
        else:
            self.action_type()

    def action_type(self) -> None:
        """Give the keys to the editor, with the last statement to edit."""
        self.query_one(SqlEditor).focus()

    def action_again(self) -> None:
        """Run the same query again."""
        table = self.query_one(ResultTable)
        if table.sql:
            table.ask(table.sql)
        else:
            self.notify("Nothing was run yet: i types a SELECT.", markup=False, timeout=4)

    def on_sql_editor_submitted(self, message: SqlEditor.Submitted) -> None:
        """Run the statement, and keep it."""
        try:
            self._history.add(message.statement)
        except OSError as error:
            said = f"The history cannot be written: {error.strerror or error}."
            self.notify(said, markup=False, severity="warning", timeout=8)
        table = self.query_one(ResultTable)
        table.focus()
        table.ask(message.statement.rstrip().rstrip(";").rstrip())

    def on_sql_editor_left(self) -> None:
        """Give the keys to the rows; where nothing was typed or run, leave the view."""
        table = self.query_one(ResultTable)
        if self.query_one(SqlEditor).text.strip() or table.sql:
            table.focus()
        else:
            self.app.call_later(self.app.run_action, "leave_view")

    def begin(self) -> None:
        """Give the keys to the editor while it is empty: what is typed are no commands then.

        With a statement in it they are the rows', so that digits lead on; i goes to the statement.
        """
        editor = self.query_one(SqlEditor)
        (self.query_one(ResultTable) if editor.text.strip() else editor).focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Load the names by the time that they are needed."""
        super().on_descendant_focus(event)
        if isinstance(event.widget, SqlEditor):
            self.query_one(Names).objects()

    def on_row_opened(self, message: RowOpened) -> None:
        """Open the record of a row; a row without one is shown in full."""
        record = self.query_one(ResultTable).record(message.key)
        if record is None:
            self.show_row(message.key)
        else:
            self.app.call_later(self.app.run_action, f"record(None, {record!r})")

    def show_row(self, key: str) -> None:
        """Show a row in full."""
        self.app.push_screen(Reader(f"Row {int(key) + 1}", self.query_one(ResultTable).full(key)))

    def action_row(self) -> None:
        """Show the row under the cursor in full."""
        if (key := self.query_one(ResultTable).cursor) is not None:
            self.show_row(key)
