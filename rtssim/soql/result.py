# ruff: noqa: S608 - SQL is composed of identifiers that store.quote quoted; values are bound
"""A planned query's rows: REST-typed tuples, REST records, or Bulk CSV at SQLite's speed."""

from __future__ import annotations

import json
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from rtssim.database import Store
    from rtssim.schema.model import Schema
    from rtssim.soql.plan import ChildPlan, Plan
    from rtssim.switches import Behaviour

_AT_ONCE = 2001
_BASE = "/services/data/v62.0"


class QueryResult:
    """A query's answer from one snapshot. `eager` takes the snapshot now (REST), else at the first read.

    A result is read once, by `records`, `rows` or `csv`; a large one holds a reader until its end or `close`.
    """

    def __init__(
        self, plan: Plan, store: Store, schema: Schema, behaviour: Behaviour, *, eager: bool
    ) -> None:
        self.object = plan.object.name
        self.columns = tuple(column.name for column in plan.columns)
        self.is_count = plan.is_count
        self.is_aggregate = plan.is_aggregate
        self._plan = plan
        self._store = store
        self._schema = schema
        self._behaviour = behaviour
        self._reader: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._first: list[tuple[Any, ...]] = []
        self._total: int | None = None
        if eager:
            self._open()

    # -- snapshot --------------------------------------------------------------------------------------
    def _open(self) -> None:
        self._reader = self._store.reader()
        self._reader.execute("BEGIN")
        if self.is_count:
            self._total = self._count(self._reader)
            self.close()
            return
        self._cursor = self._reader.execute(self._plan.select(), self._plan.params)
        self._first = self._cursor.fetchmany(_AT_ONCE)
        if len(self._first) < _AT_ONCE:
            self._total = len(self._first)
            if not self._plan.children:
                self.close()

    def _count(self, reader: sqlite3.Connection) -> int:
        return int(reader.execute(self._plan.count(), self._plan.params).fetchone()[0])

    def close(self) -> None:
        """Give the snapshot back; a result read to its end closes itself."""
        if self._reader is not None:
            self._store.release(self._reader)
            self._reader = None
            self._cursor = None

    @property
    def total_size(self) -> int:
        """Number of rows (for SELECT COUNT() the count)."""
        if self._total is None:
            if self._reader is None:
                self._open()
            if self._total is None and self._reader is not None:
                self._total = self._count(self._reader)
        return self._total or 0

    def _raw(self) -> Iterator[tuple[Any, ...]]:
        if self._reader is None and self._total is None:
            self._open()
        if self.is_count:
            return
        try:
            yield from chain(self._first, self._cursor or ())
        finally:
            self.close()

    # -- REST ------------------------------------------------------------------------------------------
    def rows(self) -> Iterator[tuple[Any, ...]]:
        """REST-typed rows, lazily."""
        width = len(self.columns)
        convert = [
            (at, c) for at, column in enumerate(self._plan.columns) if (c := _CONVERT.get(column.type))
        ]
        for raw in self._raw():
            row = list(raw[:width])
            for at, converter in convert:
                row[at] = converter(row[at])
            yield tuple(row)

    def records(self, base: str = _BASE) -> Iterator[dict[str, Any]]:
        """REST JSON records with `attributes` (urls under `base`), parents nested, child subqueries."""
        record = _Records(self._plan, self._schema, self._behaviour, base)
        for raw in self._raw():
            yield record.make(raw, self._reader)

    # -- Bulk ------------------------------------------------------------------------------------------
    def csv_header(self, *, delimiter: str = ",", line_ending: str = "\n") -> bytes:
        """Return the CSV header line."""
        typed = self._behaviour.csv_header == "typed"
        names = [column.typed if typed else column.name for column in self._plan.columns]
        return (delimiter.join(f'"{name}"' for name in names) + line_ending).encode()

    def csv_chunks(
        self, rows: int, *, start: int = 0, delimiter: str = ",", line_ending: str = "\n"
    ) -> Iterator[tuple[int, bytes]]:
        """(row count, UTF-8 CSV lines without header) of `rows` rows each, the last fewer; own snapshot."""
        reader = self._store.reader()
        take = itemgetter(0)
        try:
            cursor = reader.execute(self._csv_sql(start, delimiter, line_ending), self._plan.params)
            while batch := cursor.fetchmany(rows):
                yield len(batch), b"".join(map(take, batch))
        finally:
            self._store.release(reader)

    def _csv_sql(self, start: int, delimiter: str, line_ending: str) -> str:
        sql = self._plan.csv(
            delimiter,
            line_ending,
            datetime_end=self._behaviour.csv_datetime,
            int_as_float=self._behaviour.csv_int_as_float,
        )
        return f"SELECT * FROM ({sql}) LIMIT -1 OFFSET {start}" if start else sql

    def csv(self, write: Callable[[bytes], object], *, delimiter: str = ",", line_ending: str = "\n") -> int:
        """Write header and every row as Bulk CSV; return the number of rows. May run in a thread."""
        write(self.csv_header(delimiter=delimiter, line_ending=line_ending))
        total = 0
        for count, chunk in self.csv_chunks(2000, delimiter=delimiter, line_ending=line_ending):
            write(chunk)
            total += count
        return total


def _boolean(value: Any) -> Any:
    return None if value is None else bool(value)


def _compound(value: Any) -> Any:
    return None if value is None else json.loads(value)


_CONVERT: dict[str, Callable[[Any], Any]] = {"boolean": _boolean, "address": _compound}


class _Records:
    """Builds nested records from flat rows laid out as `Plan.select` says."""

    def __init__(self, plan: Plan, schema: Schema, behaviour: Behaviour, base: str) -> None:
        self._plan = plan
        self._schema = schema
        self._behaviour = behaviour
        self._base = base
        self._children = [(child, _Records(child.plan, schema, behaviour, base)) for child in plan.children]
        self._flat = not plan.parents and not plan.children

    def make(self, row: tuple[Any, ...], reader: sqlite3.Connection | None) -> dict[str, Any]:
        """Return the record of one row; child rows are read with `reader`."""
        plan = self._plan
        if plan.is_aggregate:
            values = (self._value(c.type, c.name, v, None) for c, v in zip(plan.columns, row, strict=False))
            names = (column.name for column in plan.columns)
            return {"attributes": {"type": "AggregateResult"}, **dict(zip(names, values, strict=True))}
        record_id = row[len(plan.columns)]
        record: dict[str, Any] = {"attributes": self._attributes(plan.object.name, record_id)}
        parents = self._parent_records(row)
        for at, (column, value) in enumerate(zip(plan.columns, row, strict=False)):
            self._place_children(record, at, record_id, reader)
            shown = self._value(column.type, column.name, value, record_id)
            if len(column.path) == 1:
                record[column.path[0]] = shown
            else:
                self._nest(record, column.path, shown, parents)
        self._place_children(record, len(plan.columns), record_id, reader)
        return record

    def _attributes(self, name: str, record_id: str) -> dict[str, str]:
        return {"type": name, "url": f"{self._base}/sobjects/{name}/{record_id}"}

    def _value(self, kind: str, name: str, value: Any, record_id: str | None) -> Any:
        if kind == "base64":
            place = f"{self._base}/sobjects/{self._plan.object.name}/{record_id}/{name}"
            return None if value is None else place
        converter = _CONVERT.get(kind)
        return converter(value) if converter else value

    def _parent_records(self, row: tuple[Any, ...]) -> dict[tuple[str, ...], dict[str, str] | None]:
        found: dict[tuple[str, ...], dict[str, str] | None] = {}
        for at, parent in enumerate(self._plan.parents, start=len(self._plan.columns) + 1):
            record_id = row[at]
            obj = parent.object or (self._schema.by_prefix(record_id) if record_id else None)
            found[parent.path] = self._attributes(obj.name, record_id) if obj and record_id else None
            shown = found[parent.path]
            if shown and parent.object is None and self._behaviour.polymorphic_type_is_name:
                shown["type"] = "Name"
        return found

    @staticmethod
    def _nest(
        record: dict[str, Any],
        path: tuple[str, ...],
        value: Any,
        parents: dict[tuple[str, ...], dict[str, str] | None],
    ) -> None:
        place = record
        for depth in range(1, len(path)):
            attributes = parents[path[:depth]]
            if attributes is None:
                place[path[depth - 1]] = None
                return
            place = place.setdefault(path[depth - 1], {"attributes": attributes})
        place[path[-1]] = value

    def _place_children(
        self, record: dict[str, Any], at: int, record_id: str, reader: sqlite3.Connection | None
    ) -> None:
        for child, maker in self._children:
            if child.position == at and reader is not None:
                record[child.name] = self._child_records(child, maker, record_id, reader)

    def _child_records(
        self, child: ChildPlan, maker: _Records, parent_id: str, reader: sqlite3.Connection
    ) -> dict[str, Any] | None:
        cursor = reader.execute(child.plan.select(), {**child.plan.params, "parent": parent_id})
        made = [maker.make(row, reader) for row in cursor]
        if not made and self._behaviour.empty_child_is_null:
            return None
        return {"totalSize": len(made), "done": True, "records": made}
