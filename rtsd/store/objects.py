"""`_rts_object`: one row for each mirrored object, with its state, counts and cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from rtsd.core.schema import ObjectSchema
from rtsd.store import schema as tables
from rtsd.store.database import Database, Tx
from rtsd.store.sqlite import quoted


class ObjectState(StrEnum):
    """Contract section 5. `LIVE` only once its rows were proven against the org's own count."""

    PENDING = "pending"
    LOADING = "loading"
    LIVE = "live"
    INCOMPLETE = "incomplete"
    PAUSED = "paused"
    DEFERRED = "deferred"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """One row of `_rts_object`; moments are ISO text on Salesforce's clock."""

    name: str
    state: ObjectState
    rows: int
    cursor: str | None
    as_of: str | None
    expected_rows: int | None
    counted_at: str | None
    error: str | None
    schema: ObjectSchema | None
    described_at: str | None
    paused: bool
    to_fill: tuple[str, ...]
    formulas_as_of: str | None
    proven_at: str | None
    checked_at: str | None


_SELECT = (
    "SELECT name, state, rows, cursor, as_of, expected_rows, counted_at, error, schema, described_at, paused,"
    " to_fill, formulas_as_of, proven_at, checked_at"
    " FROM _rts_object"
)
_SETTABLE = frozenset(
    {
        "state",
        "rows",
        "cursor",
        "as_of",
        "expected_rows",
        "counted_at",
        "error",
        "paused",
        "to_fill",
        "formulas_as_of",
        "proven_at",
        "checked_at",
    }
)


async def all_records(database: Database) -> dict[str, ObjectRecord]:
    """Every object that was ever mirrored here, by name."""
    records = {}
    for (
        name,
        state,
        *facts,
        schema,
        described_at,
        paused,
        to_fill,
        formulas,
        proven,
        checked,
    ) in await database.fetch(_SELECT):
        rows, cursor, as_of, expected_rows, counted_at, error = facts
        records[name] = ObjectRecord(
            name=name,
            state=ObjectState(state),
            rows=rows,
            cursor=cursor,
            as_of=as_of,
            expected_rows=expected_rows,
            counted_at=counted_at,
            error=error,
            schema=tables.decode_schema(schema) if schema else None,
            described_at=described_at,
            paused=bool(paused),
            to_fill=msgspec.json.decode(to_fill, type=tuple[str, ...]),
            formulas_as_of=formulas,
            proven_at=proven,
            checked_at=checked,
        )
    return records


async def row_counts(database: Database) -> dict[str, int]:
    """How many rows each object has, as counted in the transactions that moved them."""
    return dict(await database.fetch("SELECT name, rows FROM _rts_object"))


async def add(tx: Tx, name: str) -> None:
    """Make sure the object has its row."""
    await tx.execute("INSERT INTO _rts_object (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))


async def set_schema(tx: Tx, schema: ObjectSchema, described_at: str | None) -> None:
    """Keep the describe that the table was made from."""
    await tx.execute(
        "UPDATE _rts_object SET schema=?, described_at=? WHERE name=?",
        (tables.encode_schema(schema), described_at, schema.name),
    )


async def update(tx: Tx, name: str, values: Mapping[str, Any]) -> None:
    """Set some of the columns of one object's row."""
    unknown = values.keys() - _SETTABLE
    if unknown:
        raise ValueError(f"not settable: {sorted(unknown)}")
    assignments = ", ".join(f"{column}=?" for column in values)
    await tx.execute(f"UPDATE _rts_object SET {assignments} WHERE name=?", (*values.values(), name))


async def add_rows(tx: Tx, name: str, difference: int) -> None:
    """Count rows that came or went, in the transaction that moved them."""
    if difference:
        await tx.execute("UPDATE _rts_object SET rows = rows + ? WHERE name=?", (difference, name))


async def recount(tx: Tx, name: str) -> None:
    """Count an object's rows anew."""
    rows = f"SELECT COUNT(*) FROM {quoted(name)}"
    await tx.execute(f"UPDATE _rts_object SET rows=({rows}) WHERE name=?", (name,))
