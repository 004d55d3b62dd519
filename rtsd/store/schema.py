"""The mirror's tables: typed columns from describes, and the SQL statements of each table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from rtsd.core.schema import Field, ObjectSchema
from rtsd.store.database import Queries, Tx
from rtsd.store.dialect import Dialect, quoted

OWN_COLUMNS = ("_rts_seen", "_rts_until", "_rts_source", "_rts_partial")
"""The trailing columns: when and by which source the row was observed, and whether it is partial."""


@dataclass(frozen=True)
class Table:
    """The table of a mirrored object and its statements."""

    schema: ObjectSchema
    dialect: Dialect

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
        columns += [
            f"_rts_seen {self.dialect.millis_type} NOT NULL",
            f"_rts_until {self.dialect.millis_type} NOT NULL",
            "_rts_source TEXT NOT NULL",
            "_rts_partial INTEGER NOT NULL DEFAULT 0",
        ]
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
        return f"SELECT {self.list_of((*self.columns, *OWN_COLUMNS))} FROM {self.sql_name}"

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

    def from_csv(self, name: str, text: str) -> str:
        """A field's value of CSV text, in the type of its column."""
        return self.dialect.from_csv(self.schema.by_name[name].kind, text)

    def list_of(self, columns: Iterable[str]) -> str:
        """A list of columns."""
        return ", ".join(map(self.dialect.column, columns))

    def type_of(self, field: Field) -> str:
        """The declared type of a field's column: a reference sorts as ids do, or joins would use no index."""
        is_id = field.name == "Id" or field.type == "reference"
        return self.dialect.id_type if is_id else self.dialect.type_of(field.kind)

    def _value(self, name: str, mark: str) -> str:
        return mark if name in OWN_COLUMNS else self.dialect.value(self.schema.by_name[name].kind, mark)


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


async def retyped(tx: Tx, table: Table) -> list[str]:
    """The fields whose columns have another type than they should."""
    found = await _columns(tx, table)
    return [
        field.name
        for field in table.schema.fields
        if found.get(table.dialect.name(field.name).lower(), table.dialect.type_of(field.kind))
        != table.dialect.type_of(field.kind)
    ]


async def ensure(tx: Tx, table: Table) -> list[str]:
    """Create the table, or add missing columns to an existing one; return the names of added columns.

    A column whose declared type changed is emptied; its values have to be reloaded.
    """
    found = await _columns(tx, table)
    if not found:
        await tx.execute(table.create)
        return []
    names = {field: table.dialect.name(field.name).lower() for field in table.schema.fields}
    changed = [field for field, name in names.items() if found.get(name) != table.dialect.type_of(field.kind)]
    for field in changed:
        column = table.dialect.column(field.name)
        if names[field] in found:
            index = table.dialect.index(table.name, field.name)
            for statement in table.dialect.emptied(
                table.sql_name, column, index, table.dialect.type_of(field.kind)
            ):
                await tx.execute(statement)
        else:
            await tx.execute(f"ALTER TABLE {table.sql_name} ADD COLUMN {column} {table.type_of(field)}")
    return [field.name for field in changed]


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
