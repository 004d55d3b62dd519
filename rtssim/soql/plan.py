"""Query plan: SQL in parts, and the format of each column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtssim.schema.model import ObjectType
    from rtssim.soql.scope import Parent

_PLAIN = frozenset(
    {"id", "reference", "boolean", "int", "double", "currency", "percent", "date", "datetime", "time"}
)
_ARGUMENTS = 90  # SQLite allows 127 arguments to a function


@dataclass(frozen=True, slots=True)
class Column:
    """A result column: `name` is canonical, `typed` as the query spells it, `sql` its expression."""

    name: str
    typed: str
    sql: str
    type: str
    path: tuple[str, ...]

    def json_sql(self) -> str:
        """Return SQL for the value as REST prints it (booleans stay 0/1, addresses JSON text)."""
        return f"substr({self.sql}, 1, 23) || '+0000'" if self.type == "datetime" else self.sql

    def csv_sql(self, *, datetime_end: str, int_as_float: bool) -> str:
        """Return SQL for the value as Bulk CSV prints it, before quoting."""
        if self.type == "boolean":
            return f"CASE {self.sql} WHEN 1 THEN 'true' ELSE 'false' END"
        if self.type == "datetime" and datetime_end != "Z":
            return f"ifnull(substr({self.sql}, 1, 23) || '{datetime_end}', '')"
        if self.type == "int" and int_as_float:
            return f"ifnull({self.sql} || '.0', '')"
        return f"ifnull({self.sql}, '')"

    def csv_format(self) -> str:
        """Return the printf directive that quotes the value; only text needs `%w`, which doubles quotes."""
        return '"%s"' if self.type in _PLAIN else '"%w"'


@dataclass(slots=True)
class ChildPlan:
    """A subquery over a child relationship; its SQL takes the parent's id as `:parent`."""

    name: str
    position: int
    plan: Plan


@dataclass(slots=True)
class Plan:
    """A SELECT in parts: `source` runs from FROM to HAVING, `tail` from ORDER BY to the end."""

    object: ObjectType
    columns: list[Column]
    source: str
    tail: str
    params: dict[str, Any]
    is_count: bool = False
    is_aggregate: bool = False
    id_sql: str = ""
    parents: list[Parent] = field(default_factory=list)
    children: list[ChildPlan] = field(default_factory=list)
    grouped: bool = False
    capped: bool = False

    def select(self) -> str:
        """Return SQL for REST rows: the columns, then the row's id, then the parents' ids."""
        shown = [column.json_sql() for column in self.columns]
        hidden = [self.id_sql] if self.id_sql else []
        hidden += [parent.id_sql for parent in self.parents]
        return f"SELECT {', '.join(shown + hidden)} {self.source} {self.tail}"

    def count(self) -> str:
        """Return SQL for the number of rows."""
        return f"SELECT count(*) FROM (SELECT 1 {self.source} {self.tail})"

    def csv(self, delimiter: str, line_ending: str, *, datetime_end: str, int_as_float: bool) -> str:
        """Return SQL whose single column is a whole CSV line in UTF-8, formatted by SQLite's printf."""
        parts = []
        for at in range(0, len(self.columns), _ARGUMENTS):
            part = self.columns[at : at + _ARGUMENTS]
            layout = delimiter.join(column.csv_format() for column in part)
            last = at + _ARGUMENTS >= len(self.columns)
            layout += line_ending if last else delimiter
            values = [c.csv_sql(datetime_end=datetime_end, int_as_float=int_as_float) for c in part]
            parts.append(f"printf('{layout}', {', '.join(values)})")
        return f"SELECT CAST({' || '.join(parts)} AS BLOB) {self.source} {self.tail}"
