"""The size of an object in the org, from which the cost of reading it is estimated."""

from __future__ import annotations

from typing import Any

from rtsd.core.cost import ObjectSize
from rtsd.core.schema import ObjectSchema
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.counting import count_rows

SAMPLE = 2_000
"""Rows sampled for the average row size: one page, one call. Fewer would mislead, as long texts are rare."""
CELL_BYTES = 3
"""Quotes and a comma around each cell of the CSV."""


async def measure(client: Client, schema: ObjectSchema, where: str, *, purpose: str) -> ObjectSize:
    """Count an object's rows and sample a page of them, in two calls. Raises the client's errors."""
    rows = await count_rows(client, schema, where, purpose=purpose)
    statement = soql.select(schema.names, schema.name, where, limit=SAMPLE)
    page = await client.query(statement, purpose=purpose)
    return ObjectSize(rows, _row_bytes(page.records, schema.names))


def _row_bytes(rows: list[dict[str, Any]], names: tuple[str, ...]) -> float:
    total = sum(_cell_bytes(row.get(name)) for row in rows for name in names)
    return total / len(rows) if rows else 0.0


def _cell_bytes(value: Any) -> int:
    return CELL_BYTES + (0 if value is None else len(str(value).encode()))
