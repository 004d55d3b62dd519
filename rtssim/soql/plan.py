# ruff: noqa: S608 - SQL is composed of identifiers that store.quote quoted; values are bound
"""What the planner hands to execution: SQL in pieces, and how each column prints."""

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
    """One result column: `name` canonical, `typed` as the query spells it, `sql` over the store."""

    name: str
    typed: str
    sql: str
    type: str
    path: tuple[str, ...]

    def json_sql(self) -> str:
        """SQL of the value as REST prints it (booleans stay 0/1, addresses a JSON text)."""
        return f"substr({self.sql}, 1, 23) || '+0000'" if self.type == "datetime" else self.sql

    def csv_sql(self, *, datetime_end: str, int_as_float: bool) -> str:
        """SQL of the value as Bulk CSV prints it, before quoting."""
        if self.type == "boolean":
            return f"CASE {self.sql} WHEN 1 THEN 'true' ELSE 'false' END"
        if self.type == "datetime" and datetime_end != "Z":
            return f"ifnull(substr({self.sql}, 1, 23) || '{datetime_end}', '')"
        if self.type == "int" and int_as_float:
            return f"ifnull({self.sql} || '.0', '')"
        return f"ifnull({self.sql}, '')"

    def csv_format(self) -> str:
        """The printf directive that quotes the value; `%w` doubles quotes, needed in text alone."""
        return '"%s"' if self.type in _PLAIN else '"%w"'


@dataclass(slots=True)
class ChildPlan:
    """A subquery over a child relationship; its SQL takes the parent's id as `:parent`."""

    name: str
    position: int
    plan: Plan


@dataclass(slots=True)
class Plan:
    """One SELECT: `source` runs from FROM to the end, `sized` the same without ORDER BY, with LIMIT."""

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
        """SQL for REST rows: the columns, then the row's id, then the parents' ids."""
        shown = [column.json_sql() for column in self.columns]
        hidden = [self.id_sql] if self.id_sql else []
        hidden += [parent.id_sql for parent in self.parents]
        return f"SELECT {', '.join(shown + hidden)} {self.source} {self.tail}"

    def count(self) -> str:
        """SQL for the number of rows."""
        return f"SELECT count(*) FROM (SELECT 1 {self.source} {self.tail})"

    def csv(self, delimiter: str, line_ending: str, *, datetime_end: str, int_as_float: bool) -> str:
        """SQL whose one column is a whole CSV line as UTF-8 bytes, made by SQLite's printf."""
        parts = []
        for at in range(0, len(self.columns), _ARGUMENTS):
            some = self.columns[at : at + _ARGUMENTS]
            layout = delimiter.join(column.csv_format() for column in some)
            last = at + _ARGUMENTS >= len(self.columns)
            layout += line_ending if last else delimiter
            values = [c.csv_sql(datetime_end=datetime_end, int_as_float=int_as_float) for c in some]
            parts.append(f"printf('{layout}', {', '.join(values)})")
        return f"SELECT CAST({' || '.join(parts)} AS BLOB) {self.source} {self.tail}"
