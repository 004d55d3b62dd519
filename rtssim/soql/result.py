"""Query results: REST-typed rows, REST records, or Bulk CSV at SQLite's speed."""

from __future__ import annotations

import json
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from rtssim.database import OrgDatabase
    from rtssim.schema.model import Schema
    from rtssim.soql.plan import ChildPlan, Plan
    from rtssim.switches import OrgSwitches

BASE = "/services/data/v62.0"
_FIRST_ROWS = 2001


class QueryResult:
    """A query's rows in a single snapshot: taken now if `eager` (REST), else at the first read.

    Read a result once, by `records`, `rows` or `csv_chunks`; a large result holds a reader until its end or
    `close`.
    """

    def __init__(
        self, plan: Plan, database: OrgDatabase, schema: Schema, switches: OrgSwitches, *, eager: bool
    ) -> None:
        self.object = plan.object.name
        self.columns = tuple(column.name for column in plan.columns)
        self.is_count = plan.is_count
        self.is_aggregate = plan.is_aggregate
        self._plan = plan
        self._database = database
        self._schema = schema
        self._switches = switches
        self._reader: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._first: list[tuple[Any, ...]] = []
        self._total: int | None = None
        if eager:
            self._open()

    # -- snapshot --------------------------------------------------------------------------------------
    def _open(self) -> None:
        self._reader = self._database.reader()
        self._reader.execute("BEGIN")
        if self.is_count:
            self._total = self._count(self._reader)
            self.close()
            return
        self._cursor = self._reader.execute(self._plan.select(), self._plan.params)
        self._first = self._cursor.fetchmany(_FIRST_ROWS)
        if len(self._first) < _FIRST_ROWS:
            self._total = len(self._first)
            if not self._plan.children:
                self.close()

    def _count(self, reader: sqlite3.Connection) -> int:
        return int(reader.execute(self._plan.count(), self._plan.params).fetchone()[0])

    def close(self) -> None:
        """Release the snapshot; a result read to its end closes itself."""
        if self._reader is not None:
            self._database.release(self._reader)
            self._reader = None
            self._cursor = None

    @property
    def plan(self) -> Plan:
        """The SQL that answers the query."""
        return self._plan

    @property
    def total_size(self) -> int:
        """Number of rows (of SELECT COUNT() the count)."""
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
        """Yield REST-typed rows."""
        width = len(self.columns)
        convert = [
            (at, c) for at, column in enumerate(self._plan.columns) if (c := _CONVERT.get(column.type))
        ]
        for raw in self._raw():
            row = list(raw[:width])
            for at, converter in convert:
                row[at] = converter(row[at])
            yield tuple(row)

    def records(self, base: str = BASE) -> Iterator[dict[str, Any]]:
        """Yield REST records: `attributes` with URLs under `base`, nested parents, child subqueries."""
        record = _Records(self._plan, self._schema, self._switches, base)
        for raw in self._raw():
            yield record.make(raw, self._reader)

    # -- Bulk ------------------------------------------------------------------------------------------
    def csv_header(self, *, delimiter: str = ",", line_ending: str = "\n") -> bytes:
        """Return the CSV header line."""
        typed = self._switches.csv_header == "typed"
        names = [column.typed if typed else column.name for column in self._plan.columns]
        return (delimiter.join(f'"{name}"' for name in names) + line_ending).encode()

    def csv_chunks(
        self, rows: int, *, delimiter: str = ",", line_ending: str = "\n"
    ) -> Iterator[tuple[int, bytes]]:
        """Yield CSV lines without header, `rows` at a time, each chunk with its row count.

        Reads a snapshot of its own and may run in another thread.
        """
        reader = self._database.reader()
        take = itemgetter(0)
        try:
            cursor = reader.execute(self._csv_sql(delimiter, line_ending), self._plan.params)
            while batch := cursor.fetchmany(rows):
                yield len(batch), b"".join(map(take, batch))
        finally:
            self._database.release(reader)

    def _csv_sql(self, delimiter: str, line_ending: str) -> str:
        return self._plan.csv(
            delimiter,
            line_ending,
            datetime_end=self._switches.csv_datetime,
            int_as_float=self._switches.csv_int_as_float,
        )


def _boolean(value: Any) -> Any:
    return None if value is None else bool(value)


def _compound(value: Any) -> Any:
    return None if value is None else json.loads(value)


def _as_stored(value: Any) -> Any:
    return value


_CONVERT: dict[str, Callable[[Any], Any]] = {"boolean": _boolean, "address": _compound}


class _Records:
    """Builds nested records from flat rows in the layout of `Plan.select`."""

    def __init__(self, plan: Plan, schema: Schema, switches: OrgSwitches, base: str) -> None:
        self._plan = plan
        self._schema = schema
        self._switches = switches
        self._base = base
        self._children = [(child, _Records(child.plan, schema, switches, base)) for child in plan.children]
        self._child_positions = {child.position for child in plan.children}
        self._columns = [(column, _CONVERT.get(column.type, _as_stored)) for column in plan.columns]

    def make(self, row: tuple[Any, ...], reader: sqlite3.Connection | None) -> dict[str, Any]:
        """Return the record of a row; `reader` reads the child rows."""
        plan = self._plan
        if plan.is_aggregate:
            values = {c.name: convert(value) for (c, convert), value in zip(self._columns, row, strict=False)}
            return {"attributes": {"type": "AggregateResult"}, **values}
        record_id = row[len(plan.columns)]
        record: dict[str, Any] = {"attributes": self._attributes(plan.object.name, record_id)}
        parents = self._parent_records(row)
        for at, ((column, convert), value) in enumerate(zip(self._columns, row, strict=False)):
            if at in self._child_positions:
                self._place_children(record, at, record_id, reader)
            if column.type == "base64" and value is not None:
                shown = f"{record['attributes']['url']}/{column.name}"
            else:
                shown = convert(value)
            if len(column.path) == 1:
                record[column.path[0]] = shown
            else:
                self._nest(record, column.path, shown, parents)
        self._place_children(record, len(plan.columns), record_id, reader)
        return record

    def _attributes(self, name: str, record_id: str) -> dict[str, str]:
        return {"type": name, "url": f"{self._base}/sobjects/{name}/{record_id}"}

    def _parent_records(self, row: tuple[Any, ...]) -> dict[tuple[str, ...], dict[str, str] | None]:
        found: dict[tuple[str, ...], dict[str, str] | None] = {}
        for at, parent in enumerate(self._plan.parents, start=len(self._plan.columns) + 1):
            record_id = row[at]
            obj = parent.object or (self._schema.by_prefix(record_id) if record_id else None)
            found[parent.path] = self._attributes(obj.name, record_id) if obj and record_id else None
            shown = found[parent.path]
            if shown and parent.object is None and self._switches.polymorphic_type_is_name:
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
        found = [maker.make(row, reader) for row in cursor]
        if not found and self._switches.empty_child_is_null:
            return None
        return {"totalSize": len(found), "done": True, "records": found}
