"""The result of a query as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from rtstui import documents
from rtstui.answers import Answer
from rtstui.documents import Result
from rtstui.format import fit, plural, wrap
from rtstui.rows import Row
from rtstui.widgets.asked import dated, lacking
from rtstui.widgets.record import text_of
from rtstui.widgets.table import Table

WIDEST = 40
"""Cells of a column at most; enter shows a row in full."""

MEASURED = 200
"""Rows whose values decide how wide a column is."""


class ResultTable(Table):
    """Rows and columns of an answer; left and right move over the columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "columns(-1)", "columns to the left", show=False, id="sql.left"),
        Binding("right,l", "columns(1)", "columns to the right", show=False, id="sql.right"),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.sql = ""
        self._first = 0
        self._sizes: tuple[Result | None, bool, list[int]] = (None, False, [])

    def told(self) -> Answer[Result] | None:
        """What came of the query."""
        return self.answer(documents.query(self.sql)) if self.sql else None

    def _result(self) -> Result:
        answer = self.told()
        return answer.value if answer is not None and answer.value is not None else Result()

    def ask(self, sql: str) -> None:
        """Ask this."""
        self.sql, self._first, self.cursor = sql, 0, None
        self.state.answers.renew("sql ")
        self.tick()

    def keys(self) -> Sequence[str]:
        """The rows' numbers."""
        return [str(number) for number in range(len(self._result().rows))]

    def empty(self) -> str:
        """What to type, or what came of it."""
        answer = self.told()
        if answer is None:
            return (
                "Type a SELECT with /, such as: SELECT Name, Email FROM Contact LIMIT 100. "
                "It reads the mirror, costs no API call, and can change nothing."
            )
        return lacking(answer, self.state) if answer.value is None else "No rows."

    def titles(self) -> tuple[str, str]:
        """The query, and how much of its answer there is."""
        answer, found = self.told(), self._result()
        if answer is None or answer.value is None:
            return self.sql or "SQL, read-only", ""
        more = ", and more that are not shown" if found.truncated else ""
        failed = f"✖ {answer.problem} · " if answer.problem else ""
        rows = plural(len(found.rows), "row")
        return self.sql, f"{failed}{dated(answer, self.state)}{self.part(self.keys())}{rows}{more}"

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

    def action_columns(self, by: int) -> None:
        """Move over the columns."""
        self._first = max(0, min(self._first + by, len(self._result().columns) - 1))
        self.tick()

    def full(self, key: str) -> list[Row]:
        """All of one row, a field in a line or more."""
        found = self._result()
        rows: list[Row] = []
        for name, value in zip(found.columns, found.rows[int(key)], strict=True):
            lines = wrap(self._shown(value), 50) or [""]
            rows += [
                ((fit(name if not place else "", 20), "bold"), (line, "")) for place, line in enumerate(lines)
            ]
        return rows

    def export(self) -> tuple[str, str]:
        """Every row, as CSV."""
        found, file = self._result(), io.StringIO()
        writer = csv.writer(file)
        writer.writerow(found.columns)
        writer.writerows(
            [self._shown(value) if value is not None else "" for value in row] for row in found.rows
        )
        return "csv", file.getvalue()
