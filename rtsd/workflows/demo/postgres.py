"""The mirror in PostgreSQL as any other program reads it: psycopg's own types, in constant memory.

Follows contract section 9 alone, independent of rtsd's own conversion of values.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rtsd.workflows.demo.compare import Difference, compare_rows

_AT_ONCE = 1_000


async def compare(
    name: str, truth: AsyncIterator[dict[str, Any]], url: str, schema: str, hashed: Container[str] = ()
) -> Difference:
    """Compare an object's records in the org with those in a schema of a database."""
    with psycopg.connect(url, row_factory=dict_row) as connection, connection.cursor(name="mirror") as rows:
        rows.itersize = _AT_ONCE
        rows.execute(f'SELECT * FROM "{schema}"."{name.lower()}" ORDER BY id'.encode())  # noqa: S608 - names
        return await compare_rows(name, truth, (StoredRow(row) for row in rows), hashed)


class StoredRow:
    """A row of PostgreSQL in the forms of contract section 4; read by place, or by names in any case."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: _plain(value) for name, value in values.items()}

    def keys(self) -> StoredRow:
        """Return the names, in any case."""
        return self

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in self._values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values.values())

    def __getitem__(self, key: str | int, /) -> Any:
        return list(self._values.values())[key] if isinstance(key, int) else self._values[key.lower()]

    def __eq__(self, other: object) -> bool:
        return tuple(self) == other

    __hash__ = None  # type: ignore[assignment]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return f"{value.isoformat(timespec='milliseconds')}Z"
    return value
