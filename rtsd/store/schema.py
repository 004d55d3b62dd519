"""The mirror's tables: typed columns from describes, and the SQL statements of each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.store.database import Database, Tx
from rtsd.store.sqlite import quoted

OWN_COLUMNS = ("_rts_seen", "_rts_until", "_rts_source", "_rts_partial")
"""The trailing columns: when and by which source the row was observed, and whether it is partial."""

_FROM_CSV = {
    Kind.TEXT: "NULLIF({},'')",
    Kind.DATE: "NULLIF({},'')",
    Kind.INT: "CAST(NULLIF({},'') AS INTEGER)",  # 0.0 included
    Kind.REAL: "CAST(NULLIF({},'') AS REAL)",
    Kind.BOOLEAN: "CASE {} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END",
    Kind.DATETIME: "NULLIF(REPLACE({},'+0000','Z'),'')",
    Kind.TIME: "NULLIF({},'')",
}
_WITHOUT_OFFSET = {**_FROM_CSV, Kind.DATETIME: "NULLIF({},'')"}
"""Conversions where no time ends with +0000, whose replacement takes a tenth of a load."""


@dataclass(frozen=True)
class Table:
    """The table of a mirrored object and its statements."""

    schema: ObjectSchema

    @property
    def name(self) -> str:
        """The object's name."""
        return self.schema.name

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The mirrored fields, in column order."""
        return self.schema.names

    @cached_property
    def create(self) -> str:
        """CREATE TABLE with the contract's declared types."""
        columns = [
            f"{quoted(field.name)} {field.kind.declared}"
            + (" PRIMARY KEY NOT NULL" if field.name == "Id" else "")
            for field in self.schema.fields
        ]
        columns += [
            "_rts_seen INTEGER NOT NULL",
            "_rts_until INTEGER NOT NULL",
            "_rts_source TEXT NOT NULL",
            "_rts_partial INTEGER NOT NULL DEFAULT 0",
        ]
        return f"CREATE TABLE IF NOT EXISTS {quoted(self.name)} ({', '.join(columns)})"

    @cached_property
    def indexed(self) -> frozenset[str]:
        """The columns with an index: references, and the stamp for windows and fingerprints."""
        stamp = {self.schema.cursor} if self.schema.cursor else set()
        return frozenset(field.name for field in self.schema.fields if field.type == "reference") | stamp

    @cached_property
    def indexes(self) -> dict[str, str]:
        """The indexes by name."""
        names = {f"_rts_{self.name}_{column}": column for column in self.columns if column in self.indexed}
        return {
            name: f"CREATE INDEX IF NOT EXISTS {quoted(name)} ON {quoted(self.name)} ({quoted(column)})"
            for name, column in names.items()
        }

    @cached_property
    def select(self) -> str:
        """SELECT every field and rtsd's own columns, without a WHERE."""
        return f"SELECT {_list((*self.columns, *OWN_COLUMNS))} FROM {quoted(self.name)}"

    @cached_property
    def put(self) -> str:
        """Upsert a complete row: the fields in order, then rtsd's own columns."""
        columns = (*self.columns, *OWN_COLUMNS)
        updates = ", ".join(f"{quoted(name)}=excluded.{quoted(name)}" for name in columns if name != "Id")
        marks = ", ".join("?" * len(columns))
        return (
            f"INSERT INTO {quoted(self.name)} ({_list(columns)}) VALUES ({marks})"
            f" ON CONFLICT(Id) DO UPDATE SET {updates}"
        )

    def update(self, columns: Sequence[str]) -> str:
        """UPDATE some fields of a row. Parameters: their values in order, rtsd's own columns, the id."""
        assignments = ", ".join(f"{quoted(name)}=?" for name in (*columns, *OWN_COLUMNS))
        return f"UPDATE {quoted(self.name)} SET {assignments} WHERE Id=?"

    def load(self, columns: Sequence[str], rows: int) -> str:
        """INSERT rows of CSV text, converted by SQLite. Parameters: rtsd's own columns, then row by row."""
        own = len(OWN_COLUMNS)
        mine = ", ".join(f"?{place}" for place in range(1, own + 1))
        marks = (f"?{place}" for place in range(own + 1, own + 1 + rows * len(columns)))
        values = [[self._from_csv(name, next(marks)) for name in columns] for _ in range(rows)]
        tuples = ", ".join(f"({', '.join(row)}, {mine})" for row in values)
        return f"INSERT INTO {quoted(self.name)} ({_list((*columns, *OWN_COLUMNS))}) VALUES {tuples}"

    def load_from(self, columns: Sequence[str], source: str, *, offsets: bool) -> str:
        """INSERT the rows of a table of CSV text, whose columns are `c0` and so on, and one too many.

        `offsets`: times may end with +0000. Parameters: seen, until, source, the object's name. A row of
        another width, or with a tombstone, gets no value for a column that must have one, which refuses the
        statement.
        """
        last, identity = len(columns) - 1, columns.index("Id")
        partial = (
            f"CASE WHEN c{last} IS NOT NULL AND c{last + 1} IS NULL AND NOT EXISTS"
            f" (SELECT 1 FROM _rts_tombstone WHERE object=?4 AND id=c{identity}) THEN 0 END"
        )
        conversions = _FROM_CSV if offsets else _WITHOUT_OFFSET
        values = (
            conversions[self.schema.by_name[name].kind].format(f"c{place}")
            for place, name in enumerate(columns)
        )
        return (
            f"INSERT INTO {quoted(self.name)} ({_list((*columns, *OWN_COLUMNS))})"
            f" SELECT {', '.join(values)}, ?1, ?2, ?3, {partial} FROM {source}"
        )

    def refresh(self, columns: Sequence[str]) -> str:
        """UPDATE some columns of a row from CSV text. Parameters: Id, the stamp, then the columns.

        Changes only a row of the same version, and only if a value differs.
        """
        values = [(quoted(name), self._from_csv(name, f"?{place}")) for place, name in enumerate(columns, 3)]
        assignments = ", ".join(f"{name}={value}" for name, value in values)
        differs = " OR ".join(f"{name} IS NOT {value}" for name, value in values)
        cursor = self.schema.cursor
        same = f"{quoted(cursor)}={self._from_csv(cursor, '?2')}" if cursor else "?2 IS NOT NULL"
        return f"UPDATE {quoted(self.name)} SET {assignments} WHERE Id=?1 AND {same} AND ({differs})"

    def _from_csv(self, name: str, mark: str) -> str:
        return _FROM_CSV[self.schema.by_name[name].kind].format(mark)


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))


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


async def ensure(tx: Tx, table: Table) -> list[str]:
    """Create the table, or add missing columns to an existing one; return the names of added columns.

    A column whose declared type changed is dropped and added again; its values have to be reloaded.
    """
    rows = await tx.fetch(f"PRAGMA table_info({quoted(table.name)})")
    found = {row[1].lower(): row[2] for row in rows}
    if not found:
        await tx.execute(table.create)
        return []
    changed = [field for field in table.schema.fields if found.get(field.name.lower()) != field.kind.declared]
    for field in changed:
        if field.name.lower() in found:
            await tx.execute(f"DROP INDEX IF EXISTS {quoted(f'_rts_{table.name}_{field.name}')}")
            await tx.execute(f"ALTER TABLE {quoted(table.name)} DROP COLUMN {quoted(field.name)}")
        await tx.execute(
            f"ALTER TABLE {quoted(table.name)} ADD COLUMN {quoted(field.name)} {field.kind.declared}"
        )
    return [field.name for field in changed]


async def own_columns(tx: Tx, object_name: str) -> list[str]:
    """The columns of an object's table that hold its fields, including removed and excluded ones."""
    rows = await tx.fetch("SELECT name FROM pragma_table_info(?)", (object_name,))
    return [str(name) for (name,) in rows if name not in OWN_COLUMNS]


async def column_names(database: Database, object_name: str) -> list[str]:
    """The columns of an object's table, including those of removed fields."""
    rows = await database.fetch("SELECT name FROM pragma_table_info(?)", (object_name,))
    return [str(name) for (name,) in rows]
