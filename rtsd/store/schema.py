"""The mirror's tables: typed columns from describes, and the SQL statements of each table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.core.values import LARGEST_INT
from rtsd.store.database import Queries, Row, Tx
from rtsd.store.dialect import Dialect, quoted

OWN_COLUMNS = ("_rts_seen", "_rts_until", "_rts_source", "_rts_partial")
"""The trailing columns: when and by which source the row was observed, and whether it is partial."""


@dataclass(frozen=True)
class Table:
    """The table of a mirrored object and its statements."""

    schema: ObjectSchema
    dialect: Dialect
    kept: frozenset[str] = frozenset()
    """Fields whose column stays text, as something of a user's depends on it."""
    hindrance: str = ""
    """Why a field of the org has no column that can hold its values; it is left out until then."""

    @property
    def name(self) -> str:
        """The object's name."""
        return self.schema.name

    @cached_property
    def sql_name(self) -> str:
        """The table's name, quoted."""
        return self.dialect.table(self.name)

    @cached_property
    def stamp(self) -> str:
        """The column that orders versions, quoted; the ids where there is none."""
        return self.dialect.column(self.schema.cursor or "Id")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The mirrored fields, in column order."""
        return self.schema.names

    @cached_property
    def create(self) -> str:
        """CREATE TABLE with the contract's declared types."""
        columns = [
            f"{self.dialect.column(field.name)} {self.type_of(field)}"
            + (" PRIMARY KEY NOT NULL" if field.name == "Id" else "")
            for field in self.schema.fields
        ]
        columns += own_declarations(self.dialect).values()
        return f"CREATE TABLE IF NOT EXISTS {self.sql_name} ({', '.join(columns)})"

    @cached_property
    def indexed(self) -> frozenset[str]:
        """The columns with an index: references, and the stamp for windows and fingerprints."""
        stamp = {self.schema.cursor} if self.schema.cursor else set()
        return frozenset(field.name for field in self.schema.fields if field.type == "reference") | stamp

    @cached_property
    def indexes(self) -> dict[str, str]:
        """The indexes by name."""
        return {
            index: f"CREATE INDEX IF NOT EXISTS {quoted(index)} ON {self.sql_name}"
            f" ({self.dialect.column(column)})"
            for column in self.columns
            if column in self.indexed
            for index in (self.dialect.index(self.name, column),)
        }

    @cached_property
    def select(self) -> str:
        """SELECT every field and rtsd's own columns, without a WHERE."""
        return f"SELECT {self.read_list((*self.columns, *OWN_COLUMNS))} FROM {self.sql_name}"

    @cached_property
    def rows(self) -> str:
        """SELECT every field of every row, in the types of their columns."""
        return f"SELECT {self.list_of(self.columns)} FROM {self.sql_name}"

    @cached_property
    def put(self) -> str:
        """Upsert a complete row: the fields in order, then rtsd's own columns."""
        columns = (*self.columns, *OWN_COLUMNS)
        names = {name: self.dialect.column(name) for name in columns}
        updates = ", ".join(f"{names[name]}=excluded.{names[name]}" for name in columns if name != "Id")
        values = ", ".join(self._value(name, "?") for name in columns)
        return (
            f"INSERT INTO {self.sql_name} ({self.list_of(columns)}) VALUES ({values})"
            f" ON CONFLICT ({names['Id']}) DO UPDATE SET {updates}"
        )

    def update(self, columns: Sequence[str]) -> str:
        """UPDATE some fields of a row. Parameters: their values in order, rtsd's own columns, the id."""
        assignments = ", ".join(
            f"{self.dialect.column(name)}={self._value(name, '?')}" for name in (*columns, *OWN_COLUMNS)
        )
        return f"UPDATE {self.sql_name} SET {assignments} WHERE Id=?"

    def refresh(self, columns: Sequence[str]) -> str:
        """UPDATE some columns of a row from CSV text. Parameters: Id, the stamp, then the columns.

        Changes only a row of the same version, and only if a value differs.
        """
        values = [
            (self.dialect.column(name), self.from_csv(name, f"?{place}"))
            for place, name in enumerate(columns, 3)
        ]
        assignments = ", ".join(f"{name}={value}" for name, value in values)
        differs = " OR ".join(f"{name} IS DISTINCT FROM {value}" for name, value in values)
        cursor = self.schema.cursor
        same = f"{self.stamp}={self.from_csv(cursor, '?2')}" if cursor else "?2 IS NOT NULL"
        return f"UPDATE {self.sql_name} SET {assignments} WHERE Id=?1 AND {same} AND ({differs})"

    @cached_property
    def narrow(self) -> tuple[str, ...]:
        """The fields whose columns hold fewer integers than the mirror's values have."""
        if self.dialect.largest_int >= LARGEST_INT:
            return ()
        return tuple(field.name for field in self.schema.fields if field.kind is Kind.INT)

    def from_csv(self, name: str, text: str) -> str:
        """A field's value of CSV text, in the type of its column."""
        kind = self.schema.by_name[name].kind
        if name in self.kept:
            return self.dialect.text_of(kind, self.dialect.from_csv(kind, text))
        return self.dialect.from_csv(kind, text)

    def read(self, name: str) -> str:
        """A column as a query reads it, in the type of its field."""
        column = self.dialect.column(name)
        return self.dialect.of_text(self.schema.by_name[name].kind, column) if name in self.kept else column

    def value_in(self, field: Field, document: str) -> str:
        """A field's value in a JSON document of mirror values, in the type of its column."""
        value = self.dialect.value_in(field, document)
        return self.dialect.text_of(field.kind, value) if field.name in self.kept else value

    def read_list(self, columns: Iterable[str]) -> str:
        """A list of columns as a query reads them."""
        return ", ".join(map(self.read, columns)) if self.kept else self.list_of(columns)

    def list_of(self, columns: Iterable[str]) -> str:
        """A list of columns."""
        return ", ".join(map(self.dialect.column, columns))

    def type_of(self, field: Field) -> str:
        """The declared type of a field's column: a reference sorts as ids do, or joins would use no index."""
        return self.dialect.id_type if field.is_id else self.dialect.type_of(field.kind)

    def _value(self, name: str, mark: str) -> str:
        if name in OWN_COLUMNS:
            return mark
        kind = self.schema.by_name[name].kind
        value = self.dialect.value(kind, mark)
        return self.dialect.text_of(kind, value) if name in self.kept else value


def own_declarations(dialect: Dialect) -> dict[str, str]:
    """Return how rtsd's own columns are declared, by name."""
    types = (
        f"{dialect.millis_type} NOT NULL",
        f"{dialect.millis_type} NOT NULL",
        "TEXT NOT NULL",
        "INTEGER NOT NULL DEFAULT 0",
    )
    return {name: f"{name} {kind}" for name, kind in zip(OWN_COLUMNS, types, strict=True)}


class _StoredSchema(msgspec.Struct):
    """An ObjectSchema as stored in `_rts_object.schema`."""

    name: str
    fields: list[Field]
    cursor: str | None
    replicateable: bool
    soft_deletes: bool
    merges: bool
    unmirrored: tuple[str, ...]


def encode_schema(schema: ObjectSchema) -> str:
    """Encode a schema as JSON, stored with the object so that a start does not need the org."""
    stored = {name: getattr(schema, name) for name in _StoredSchema.__struct_fields__}
    return msgspec.json.encode(stored).decode()


def decode_schema(text: str) -> ObjectSchema:
    """Decode the JSON of `encode_schema`."""
    stored = msgspec.structs.asdict(msgspec.json.decode(text, type=_StoredSchema))
    return ObjectSchema(**{**stored, "fields": tuple(stored["fields"])})


async def to_retype(tx: Tx, table: Table) -> list[str]:
    """The fields whose columns get another type by `ensure`: no view of rtsd's may show them meanwhile."""
    found = await _columns(tx, table)
    return [
        field.name
        for field in table.schema.fields
        if found.get(table.dialect.name(field.name).lower(), table.dialect.type_of(field.kind))
        != table.dialect.type_of(field.kind)
        and not await _dependents(tx, table, field)
    ]


@dataclass(frozen=True, slots=True)
class Ensured:
    """What became of a table."""

    table: Table
    """As it is now: with the columns that stay text, and without fields that no column can hold."""
    changed: list[str]
    """Fields whose columns are new, or were emptied: their values have to be loaded."""


async def ensure(tx: Tx, table: Table, known: Table | None = None) -> Ensured:
    """Create the table, or add missing columns to an existing one, `known` as it was before.

    A column whose declared type changed is emptied. Where something of a user's depends on it, the column
    stays if it is text, which holds all values; else the field is left out, with the reason in the table.
    """
    dialect = table.dialect
    found = await _columns(tx, table)
    if not found:
        await tx.execute(table.create)
        return Ensured(table, [])
    changed, kept, hindered = [], set(), {}
    for field in table.schema.fields:
        column, declared = dialect.column(field.name), dialect.type_of(field.kind)
        present = found.get(dialect.name(field.name).lower())
        if present == declared:
            continue
        if present is None:
            await tx.execute(f"ALTER TABLE {table.sql_name} ADD COLUMN {column} {table.type_of(field)}")
        elif not (dependents := await _dependents(tx, table, field)):
            index = dialect.index(table.name, field.name)
            for statement in dialect.emptied(table.sql_name, column, index, declared):
                await tx.execute(statement)
        elif present == dialect.type_of(Kind.TEXT):
            kept.add(field.name)
            if _is_kept(known, field):
                continue
            await tx.execute(f"UPDATE {table.sql_name} SET {column}=NULL WHERE {column} IS NOT NULL")
        else:
            hindered[field.name] = _hindrance(field, present, declared, dependents)
            continue
        changed.append(field.name)
    return Ensured(without(replace(table, kept=frozenset(kept)), hindered), changed)


async def _dependents(tx: Tx, table: Table, field: Field) -> list[Row]:
    """Return what of a user's depends on a column, each with the statement that removes it."""
    query = table.dialect.dependents(table.name, field.name)
    return await tx.fetch(*query) if query else []


def _is_kept(known: Table | None, field: Field) -> bool:
    """Return whether a column is text already, with values of the field's kind."""
    if known is None or field.name not in known.kept:
        return False
    return known.schema.by_name[field.name].kind is field.kind


def _hindrance(field: Field, present: str, declared: str, dependents: Sequence[Row]) -> str:
    what = ", ".join(str(name) for name, _ in dependents)
    remedy = "; ".join(str(statement) for _, statement in dependents)
    return (
        f"{field.name} is of type {field.type} now, but its column cannot change from {present} to {declared}"
        f" as {what} depends on it; its values are not stored. Run: {remedy}; rtsd changes the column within"
        " 10 minutes; then create again what you need"
    )


def without(table: Table, hindered: Mapping[str, str]) -> Table:
    """Return the table without the fields that no column can hold, by their reasons."""
    if not hindered:
        return table
    schema = table.schema
    schema = replace(
        schema,
        fields=tuple(field for field in schema.fields if field.name not in hindered),
        unmirrored=(*schema.unmirrored, *hindered),
    )
    reasons = ([table.hindrance] if table.hindrance else []) + list(hindered.values())
    return replace(table, schema=schema, kept=table.kept - hindered.keys(), hindrance="; ".join(reasons))


async def _columns(tx: Tx, table: Table) -> dict[str, str]:
    """The declared types of a table's columns, by their names in lower case."""
    return {name.lower(): kind for name, kind in await tx.fetch(*table.dialect.columns_of(table.name))}


async def own_columns(tx: Tx, object_name: str) -> list[str]:
    """The columns of an object's table that hold its fields, including removed and excluded ones."""
    return [name for name in await column_names(tx, object_name) if not name.startswith("_rts_")]


async def column_names(database: Queries | Tx, object_name: str) -> list[str]:
    """The columns of an object's table, including those of removed fields."""
    rows = await database.fetch(*database.dialect.columns_of(object_name))
    return [str(name) for name, _ in rows]
