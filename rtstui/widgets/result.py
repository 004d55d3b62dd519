"""The result of a query as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, ClassVar, TypeGuard

from textual.binding import Binding, BindingType

from rtsd.control.protocol import QueryResult
from rtsd.core.figures import clock
from rtsd.core.ids import full_id, is_id
from rtsd.core.plural import plural
from rtstui import documents
from rtstui.document_cache import CachedDocument
from rtstui.format import fit
from rtstui.rows import Row
from rtstui.value_text import text_of
from rtstui.widgets.table import Table

WIDEST = 40
"""The widest column, in cells; enter shows a row in full."""

MEASURED = 200
"""Rows whose values decide the width of a column."""


def is_record(value: Any) -> TypeGuard[str]:
    """Return True if a value has the form of a record's id."""
    return isinstance(value, str) and is_id(value)


class ResultTable(Table):
    """The rows and columns of a result; left and right move over the columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "columns(-1)", "columns to the left", show=False, id="sql.left"),
        Binding("right,l", "columns(1)", "columns to the right", show=False, id="sql.right"),
        Binding("d", "screen.row", "row in full", id="sql.row"),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.sql = ""
        self._first = 0
        self._sizes: tuple[QueryResult | None, bool, list[int]] = (None, False, [])

    def document(self) -> CachedDocument[QueryResult] | None:
        """The result of the query."""
        return self.load(documents.query(self.sql)) if self.sql else None

    def _result(self) -> QueryResult:
        document = self.document()
        return document.value if document is not None and document.value is not None else QueryResult()

    def ask(self, sql: str) -> None:
        """Run a query."""
        self.sql, self._first, self.cursor = sql, 0, None
        self.action_clear_filter()
        self.state.documents.expire("sql ")
        self.tick()

    def keys(self) -> Sequence[str]:
        """The rows' numbers."""
        return [str(number) for number in range(len(self._result().rows))]

    def empty(self) -> str:
        """What to type, or the outcome."""
        document = self.document()
        if document is None:
            return (
                "Type a SELECT above, such as: SELECT Name, Email FROM Contact LIMIT 100. "
                "It reads the mirror, costs no API call, and can change nothing."
            )
        if self._refusal:
            return f"✖ {self._refusal}"
        return documents.stand_in(document, self.state) if document.value is None else "No rows."

    def empty_role(self) -> str:
        """A refusal looks like one."""
        return "error" if self._refusal else "dim"

    @property
    def _refusal(self) -> str:
        """The daemon's words, if it has refused the query."""
        document = self.document()
        if document is None or document.value is not None or document.unsupported or not self.state.live:
            return ""
        return document.problem

    def titles(self) -> tuple[str, str]:
        """The query, and the rows of its result."""
        document, found = self.document(), self._result()
        said = " ".join(self.sql.split())
        if document is None or document.value is None:
            return said or "Result", ""
        more = ", and more that are not shown" if found.truncated else ""
        failed = f"✖ {document.problem} · " if document.problem else ""
        at = f" · read {clock(document.at.isoformat())}" if document.at else ""
        rows = f"{self.part(self.keys())}{plural(len(found.rows), 'row')}"
        return said, f"{failed}{documents.as_of(document, self.state)}{rows}{more}{at}"

    def header(self, width: int) -> Row | None:  # noqa: ARG002
        """The columns' names."""
        columns = self._result().columns
        if not columns:
            return None
        return tuple(
            (fit(name, size) + "  ", "head")
            for name, size in list(zip(columns, self._widths(), strict=True))[self._first :]
        )

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One row."""
        values = list(zip(self._result().rows[int(key)], self._widths(), strict=True))[self._first :]
        return tuple(
            (fit(self._shown(value), size) + "  ", "dim" if value is None else "") for value, size in values
        )

    def _shown(self, value: Any) -> str:
        return text_of(value, mask=self.masking)

    def _widths(self) -> list[int]:
        found = self._result()
        if self._sizes[0] is not found or self._sizes[1] != self.masking:
            sizes = [
                min(
                    WIDEST,
                    max(len(name), *(len(self._shown(row[place])) for row in found.rows[:MEASURED]), 1),
                )
                for place, name in enumerate(found.columns)
            ]
            self._sizes = (found, self.masking, sizes)
        return self._sizes[2]

    def text(self, key: str) -> str:
        """Every value of a row, also of columns that are out of sight."""
        return " ".join(self._shown(value) for value in self._result().rows[int(key)])

    def stamp(self) -> object:
        """A result does not change: another one comes in its place."""
        return id(self._result()), self.masking

    def action_columns(self, by: int) -> None:
        """Move over the columns."""
        self._first = max(0, min(self._first + by, len(self._result().columns) - 1))
        self.tick()

    def record(self, key: str) -> str | None:
        """Return the id of the record that a row is of: its column Id, else the first value that is one."""
        found = self._result()
        values = list(zip(found.columns, found.rows[int(key)], strict=True))
        named = (value for name, value in values if name.lower() == "id" and is_record(value))
        others = (value for _, value in values if is_record(value) and full_id(value) == value)
        return next(named, None) or next(others, None)

    def full(self, key: str) -> list[Row]:
        """A row in full, a line or more for each field."""
        found = self._result()
        return [
            ((fit(name, 20) + " ", "bold"), (self._shown(value), ""))
            for name, value in zip(found.columns, found.rows[int(key)], strict=True)
        ]

    def export(self) -> tuple[str, str]:
        """Return every row that passes the filter, as CSV."""
        found, file = self._result(), io.StringIO()
        writer = csv.writer(file)
        writer.writerow(found.columns)
        for key in self.shown():
            row = found.rows[int(key)]
            writer.writerow([self._shown(value) if value is not None else "" for value in row])
        return "csv", file.getvalue()
