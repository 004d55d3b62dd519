"""`_rts_object`: one row for each mirrored object, with its state, counts and cursor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.core.object_state import EXPLAINS, ObjectEvent, ObjectState, next_state
from rtsd.store import meta
from rtsd.store import schema as tables
from rtsd.store.database import Database, Queries, Row, Tx
from rtsd.store.dialect import Dialect
from rtsd.store.schema import Table


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One row of `_rts_object`, but for `rows`, which are counted there. Moments are Salesforce's."""

    name: str
    state: ObjectState = ObjectState.PENDING
    error: str | None = None
    """Why it is not live."""
    table: Table | None = None
    """Its table as the last describe made it; None before the first."""
    described_at: str | None = None
    """The describe's Last-Modified."""
    cursor: Millis | None = None
    """Windows have read everything stamped before this; None until the object was loaded."""
    as_of: str | None = None
    """The mirror shows everything committed before this."""
    expected_rows: int | None = None
    """The org's own count when it was last asked, at `counted_at` (local time)."""
    counted_at: str | None = None
    to_fill: tuple[str, ...] = ()
    """Columns that came to a loaded table and are empty in old rows."""
    formulas_as_of: str | None = None
    proven_at: Millis = 0
    """Up to here the rows were proven equal to the org's; 0: never."""
    checked_at: str | None = None
    """When the last fingerprint was taken (local time); None if one must precede the next proof."""

    def after(self, event: ObjectEvent, reason: str | None = None) -> StoredObject:
        """Return the object after an event, by the table; `reason` is why it is not live then."""
        state = next_state(self.state, event)
        if state is self.state and state is not EXPLAINS.get(event):
            return self
        return replace(self, state=state, error=reason)

    def left_out(self) -> StoredObject:
        """Return the object without its proof, as nothing follows its changes now."""
        return replace(self.after(ObjectEvent.LEFT_OUT), checked_at=None)


EXTENT = "columns as they are of "
"""Begins the keys of what the columns of an object cannot be."""
_EXTENTS = f"SELECT key, value FROM _rts_meta WHERE key LIKE '{EXTENT}%'"
_SELECT = (
    "SELECT name, state, error, schema, described_at, cursor, as_of, expected_rows, counted_at, to_fill,"
    " formulas_as_of, proven_at, checked_at FROM _rts_object"
)
_UPDATE = (
    "UPDATE _rts_object SET state=?, error=?, described_at=?, cursor=?, as_of=?, expected_rows=?,"
    " counted_at=?, to_fill=?, formulas_as_of=?, proven_at=?, checked_at=? WHERE name=?"
)


async def load(database: Queries) -> dict[str, StoredObject]:
    """Return every object that was ever mirrored here, by name."""
    extents = {key.removeprefix(EXTENT): value for key, value in await database.fetch(_EXTENTS)}
    rows = await database.fetch(_SELECT)
    return {row[0]: _stored(row, database.dialect, extents.get(row[0])) for row in rows}


async def schema_of(database: Queries, name: str) -> str | None:
    """Return an object's schema, as `schema.decode_schema` reads it; None before its first describe."""
    for (schema,) in await database.fetch("SELECT schema FROM _rts_object WHERE name=?", (name,)):
        return None if schema is None else str(schema)
    return None


def _stored(row: Row, dialect: Dialect, extent: str | None) -> StoredObject:
    name, state, error, schema, described_at, cursor, as_of, expected, counted_at, *rest = row
    to_fill, formulas_as_of, proven_at, checked_at = rest
    return StoredObject(
        name=name,
        state=ObjectState(state),
        error=error,
        table=_table(schema, dialect, extent) if schema else None,
        described_at=described_at,
        cursor=from_iso(cursor) if cursor else None,
        as_of=as_of,
        expected_rows=expected,
        counted_at=counted_at,
        to_fill=msgspec.json.decode(to_fill, type=tuple[str, ...]),
        formulas_as_of=formulas_as_of,
        proven_at=from_iso(proven_at) if proven_at else 0,
        checked_at=checked_at,
    )


class _Extent(msgspec.Struct):
    """What the columns of an object cannot be, because of what users have built on them."""

    kept: list[str]
    hindrance: str


def _table(schema: str, dialect: Dialect, extent: str | None) -> Table:
    found = msgspec.json.decode(extent, type=_Extent) if extent else _Extent([], "")
    return Table(tables.decode_schema(schema), dialect, frozenset(found.kept), found.hindrance)


async def save(tx: Tx, before: StoredObject, after: StoredObject) -> None:
    """Write what has changed of one object's row."""
    if after.table is not before.table and after.table is not None:
        schema = tables.encode_schema(after.table.schema)
        await tx.execute("UPDATE _rts_object SET schema=? WHERE name=?", (schema, after.name))
        if after.table.kept or after.table.hindrance:
            extent = _Extent(sorted(after.table.kept), after.table.hindrance)
            await meta.put(tx, EXTENT + after.name, msgspec.json.encode(extent).decode())
        elif before.table is not None and (before.table.kept or before.table.hindrance):
            await meta.remove(tx, EXTENT + after.name)
    await tx.execute(
        _UPDATE,
        (
            after.state.value,
            after.error,
            after.described_at,
            to_iso(after.cursor) if after.cursor is not None else None,
            after.as_of,
            after.expected_rows,
            after.counted_at,
            msgspec.json.encode(after.to_fill).decode(),
            after.formulas_as_of,
            to_iso(after.proven_at) if after.proven_at else None,
            after.checked_at,
            after.name,
        ),
    )


async def add(tx: Tx, name: str) -> None:
    """Make sure the object has its row."""
    await tx.execute("INSERT INTO _rts_object (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))


async def row_counts(database: Database) -> dict[str, int]:
    """How many rows each object has, as counted in the transactions that moved them."""
    return dict(await database.fetch("SELECT name, rows FROM _rts_object"))


async def add_rows(tx: Tx, name: str, difference: int) -> None:
    """Count rows that came or went, in the transaction that moved them."""
    if difference:
        await tx.execute("UPDATE _rts_object SET rows = rows + ? WHERE name=?", (difference, name))


async def recount(tx: Tx, name: str) -> None:
    """Count an object's rows again."""
    rows = f"SELECT COUNT(*) FROM {tx.dialect.table(name)}"
    await tx.execute(f"UPDATE _rts_object SET rows=({rows}) WHERE name=?", (name,))
