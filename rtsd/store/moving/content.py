"""What a move takes along, read in the order of keys: in batches, each after the last key of the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from rtsd.store.database import Row
from rtsd.store.dialect import quoted
from rtsd.store.moving.sides import Part, Source

OWN: dict[str, tuple[str, ...]] = {
    "_rts_object": ("name",),
    "_rts_held": ("seq",),
    "_rts_tombstone": ("object", "id"),
    "_rts_journal": ("seq",),
    "_rts_fetch": ("object", "id"),
    "_rts_dead_letter": ("id",),
    "_rts_error": ("seq",),
    "_rts_ledger": ("seq",),
    "_rts_usage": ("at", "name"),
    "_rts_audit": ("object",),
    "_rts_sweep": ("object", "id"),
    "_rts_outbox": ("seq",),
    "_rts_inbox": ("seq",),
    "_rts_push_id": ("rowid",),
    "_rts_view": ("layout", "place", "object"),
}
"""The tables of rtsd's own that are copied row by row, and the columns of their order."""
APART = frozenset({"_rts_meta", "_rts_row_checksum"})
"""Those that are copied in another way."""
NOT_MOVED = frozenset({"_rts_lease", "_rts_node", "_rts_request"})
"""Those of PostgreSQL's nodes, which mean nothing elsewhere."""
RESTARTED = frozenset({"_rts_inbox", "_rts_push_id"})
"""Those that a resumed move copies again: SQLite has their rows in several places, or without a key."""
NAMELESS = frozenset({"rowid"})
"""Columns that only order the rows: each engine numbers them itself."""

FIRST, FIRST_BODIES = 64, 8
"""Rows of the first batch, and of one with documents of up to 12 MiB each."""
MOST = 5_000
BYTES = 4 << 20
"""About the size of a batch."""

encode = msgspec.msgpack.Encoder().encode


class Batches:
    """The rows of a query, after a key, in batches whose size follows that of the rows."""

    def __init__(
        self,
        source: Source,
        part: Part,
        columns: Sequence[str],
        *,
        first: int = FIRST,
        after: tuple[Any, ...] = (),
    ) -> None:
        """`after` is the key of the row after which they begin."""
        self._source = source
        self._keys = len(part.keys)
        keys = ", ".join(part.keys)
        conditions = [part.where] if part.where else []
        self._head = f"SELECT {keys}, {', '.join(columns)} FROM {part.place}"
        self._where = conditions
        self._after = f"({keys}) > ({', '.join('?' * self._keys)})"
        self._order = f" ORDER BY {keys} LIMIT "
        self._size = first
        self._begin = after

    async def rows(self) -> AsyncIterator[list[Row]]:
        """Yield the batches, without the keys."""
        after = self._begin
        while True:
            conditions = [*self._where, self._after] if after else self._where
            where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
            found = await self._source.fetch(f"{self._head}{where}{self._order}{self._size}", after)
            if found:
                yield [row[self._keys :] for row in found]
            if len(found) < self._size:
                return
            after = tuple(found[-1][: self._keys])
            fitting = self._size * BYTES // max(len(encode(found)), 1)
            self._size = max(min(self._size * 2, fitting, MOST), 1)


async def own_rows(
    source: Source, table: str, columns: Sequence[str], after: tuple[Any, ...] = ()
) -> AsyncIterator[list[Row]]:
    """Yield the rows of a table of rtsd's own in batches, those after a key if it is in one place."""
    first = FIRST_BODIES if "body" in columns else FIRST
    for part in source.parts(table, OWN[table]):
        names = [quoted(name) for name in columns]
        async for rows in Batches(source, part, names, first=first, after=after).rows():
            yield rows


async def own_columns(source: Source, table: str) -> list[str]:
    """Return the columns of a table of rtsd's own whose values are moved."""
    return [name for name in await source.columns(table) if name not in NAMELESS]
