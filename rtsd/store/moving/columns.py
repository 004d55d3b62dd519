"""The columns of a mirrored object's table, as both engines have them, in the order of the source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rtsd.core.layout import Layout as CoreLayout
from rtsd.core.schema import Kind
from rtsd.store import meta
from rtsd.store.database import Row
from rtsd.store.dialect import Dialect, quoted
from rtsd.store.moving.content import Batches
from rtsd.store.moving.sides import Part, Source
from rtsd.store.objects import StoredObject
from rtsd.store.schema import OWN_COLUMNS, Table, own_declarations

FORMER = "columns of "
"""Begins the keys of the names that columns of former fields had on the engine that a mirror came from."""

_KINDS = {"INTEGER": Kind.INT, "integer": Kind.INT, "bigint": Kind.INT, "boolean": Kind.INT}
_KINDS |= {"REAL": Kind.REAL, "double precision": Kind.REAL}
"""The kinds of columns without a field, by their declared types; all others are text."""
_NUMBERED = "SELECT 1 FROM _rts_view WHERE object=? AND layout=?"
_BEYOND = "{} NOT BETWEEN -2147483648 AND 2147483647"
_WIDE = "bigint"
"""The type of a column without a field that has integers of more than 32 bits."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and how each engine writes it."""

    name: str
    read: str
    """As the source reads it."""
    put: str
    """As the target names it."""
    declared: str
    """With its type, as the target creates it; empty for one that every table has."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The table of an object on both sides."""

    table: Table
    """As the target has it."""
    place: str
    """The source's table, quoted."""
    columns: tuple[Column, ...]
    former: Mapping[str, str]
    """The names of columns without a field, by the target's name, where it is another one."""
    is_numbered: bool
    """Whether a layout shows the stored integers of its rows, which others may refer to."""

    @property
    def create(self) -> str:
        """CREATE TABLE, for the target."""
        declared = ", ".join(column.declared for column in self.columns if column.declared)
        return f"CREATE TABLE {self.table.sql_name} ({declared})"

    def rows(self, source: Source, after: tuple[Any, ...] = ()) -> AsyncIterator[list[Row]]:
        """Yield the source's rows in batches, ordered by id, those after one."""
        part = Part(self.place, (source.dialect.column("Id"),))
        return Batches(source, part, [column.read for column in self.columns], after=after).rows()

    def rows_of_target(self, target: Source) -> AsyncIterator[list[Row]]:
        """Yield the target's rows in the same way."""
        place, identity = self.table.sql_name, target.dialect.column("Id")
        return Batches(target, Part(place, (identity,)), [column.put for column in self.columns]).rows()


async def layout(source: Source, stored: StoredObject, target: Dialect) -> Layout | None:
    """Return the layout of an object's table; None if it has no table."""
    found = await source.fetch(*source.dialect.columns_of(stored.name))
    if stored.table is None or not found:
        return None
    known, table = stored.table, Table(stored.table.schema, target)
    fields = {source.dialect.name(field.name).lower(): field for field in table.schema.fields}
    names = await _former_names(source, stored.name)
    own = own_declarations(target)
    columns: list[Column] = []
    former: dict[str, str] = {}
    place = source.dialect.table(stored.name)
    for name, declared in ((str(name), str(declared)) for name, declared in found):
        field = fields.get(name.lower())
        if name in OWN_COLUMNS:
            columns.append(Column(name, name, name, own[name]))
        elif name.startswith("_rts_"):
            continue  # the stored integers of a layout: see below
        elif field is not None:
            column = target.column(field.name)
            key = " PRIMARY KEY NOT NULL" if field.name == "Id" else ""
            declaration = f"{column} {table.type_of(field)}{key}"
            columns.append(Column(field.name, known.read(field.name), column, declaration))
        else:
            original: str = names.get(name, name)
            column = target.column(original)
            kind = await _type_of_former(source, place, name, declared, target)
            columns.append(Column(original, quoted(name), column, f"{column} {kind}"))
            if target.name(original) != original:
                former[target.name(original)] = original
    ours, theirs = source.dialect.views, target.views
    shown_in = CoreLayout.HEROKU_CONNECT.value
    is_numbered = bool(await source.fetch(_NUMBERED, (stored.name.lower(), shown_in)))
    if is_numbered:
        columns.append(Column(ours.numbers, ours.numbers, theirs.numbers, theirs.numbers_declared))
    return Layout(table, place, tuple(columns), former, is_numbered)


async def _former_names(source: Source, object_name: str) -> dict[str, str]:
    found = await meta.get(source, f"{FORMER}{object_name}")
    return msgspec.json.decode(found, type=dict[str, str]) if found else {}


async def _type_of_former(source: Source, place: str, name: str, declared: str, target: Dialect) -> str:
    """Return the type of a column whose field is gone, of which only the values are left to tell."""
    kind = _KINDS.get(declared, Kind.TEXT)
    beyond = f"SELECT 1 FROM {place} WHERE {_BEYOND.format(quoted(name))} LIMIT 1"
    if target.type_of(kind) == "integer" and declared != "boolean" and await source.fetch(beyond):
        return _WIDE
    return target.type_of(kind)


def former_pairs(layouts: Sequence[Layout]) -> dict[str, str]:
    """Return the key-value pairs that keep the names of columns without a field."""
    return {
        f"{FORMER}{found.table.name}": msgspec.json.encode(found.former).decode()
        for found in layouts
        if found.former
    }
