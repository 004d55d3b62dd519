"""The proof of a move: every row of both sides, compared by its values and their types, not by counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from rtsd.errors import CorruptDatabase
from rtsd.store.database import Row
from rtsd.store.moving import checksums
from rtsd.store.moving.columns import Layout
from rtsd.store.moving.content import OWN, encode, own_columns, own_rows
from rtsd.store.moving.sides import Source

Stored = Callable[[Row], Row]
Tell = Callable[[str, int], None]
"""Is called with what is being compared, and the rows so far."""


class Proof:
    """Compares a target with its source. Raises CorruptDatabase at the first difference."""

    def __init__(self, source: Source, target: Source, stored: Stored, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._stored = stored
        self._tell = tell

    async def own(self, table: str) -> int:
        """Compare a table of rtsd's own; return the number of its rows."""
        columns = await own_columns(self._source, table)
        return await self._compare(
            table,
            [name for name in columns if name in OWN[table]],
            columns,
            own_rows(self._source, table, columns),
            own_rows(self._target, table, columns),
        )

    async def mirrored(self, layout: Layout) -> int:
        """Compare an object's rows and their checksums; return the number of rows."""
        names = [column.name for column in layout.columns]
        name = layout.table.name
        number = await self._compare(
            name, ["Id"], names, layout.rows(self._source), layout.rows_of_target(self._target)
        )
        await self._compare(
            f"checksums of {name}",
            ["id"],
            ["id", "version", "values", "columns"],
            checksums.ordered(self._source, name),
            checksums.ordered(self._target, name),
        )
        return number

    def pairs(self, expected: dict[str, str], found: dict[str, str]) -> None:
        """Compare key-value pairs."""
        for key in sorted(expected.keys() | found.keys()):
            if expected.get(key) != found.get(key):
                raise _differs("_rts_meta", key, "value")

    def numbers(self, expected: dict[str, int], found: dict[str, int]) -> None:
        """Compare where the numbers of new rows go on."""
        for table, number in expected.items():
            if found.get(table, 0) < number:
                raise _differs(table, "the next row", "number")

    async def _compare(
        self,
        what: str,
        keys: Sequence[str],
        columns: Sequence[str],
        expected: AsyncIterator[Sequence[Row]],
        found: AsyncIterator[Sequence[Row]],
    ) -> int:
        """Compare two streams of rows, whatever their batches."""
        number = 0
        left = _Stream(expected, self._stored)
        right = _Stream(found, tuple)
        while True:
            rows, others = await left.some(), await right.some()
            size = min(len(rows), len(others))
            if size == 0:
                break
            if encode(rows[:size]) != encode(others[:size]):
                _tell_difference(what, keys, columns, rows[:size], others[:size])
            left.took(size)
            right.took(size)
            number += size
            self._tell(what, number)
        if rows or others:
            missing = "is missing" if rows else "is too many"
            raise _differs(what, _key(keys, columns, (rows or others)[0]), missing)
        return number


class _Stream:
    """Rows of batches, of which others take some at a time."""

    def __init__(self, batches: AsyncIterator[Sequence[Row]], form: Callable[[Row], Row]) -> None:
        self._batches = batches
        self._form = form
        self._rows: list[Row] = []

    async def some(self) -> list[Row]:
        """Return the rows that nobody took yet, of one batch; none at the end."""
        if not self._rows:
            batch = await anext(self._batches, None)
            self._rows = [self._form(row) for row in batch or ()]
        return self._rows

    def took(self, size: int) -> None:
        """Forget the first rows."""
        self._rows = self._rows[size:]


def _tell_difference(
    what: str, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Row], others: Sequence[Row]
) -> None:
    for row, other in zip(rows, others, strict=True):
        if encode(row) != encode(other):
            pairs = zip(columns, row, other, strict=True)
            differing = [name for name, value, stored in pairs if encode(value) != encode(stored)]
            raise _differs(what, _key(keys, columns, row), ", ".join(differing))


def _key(keys: Sequence[str], columns: Sequence[str], row: Row) -> str:
    values = dict(zip(columns, row, strict=True))
    return " ".join(str(values[name]) for name in keys if name in values)


def _differs(what: str, key: str, how: str) -> CorruptDatabase:
    return CorruptDatabase(
        f"the copy is not equal: {what} {key}: {how}".replace("  ", " "),
        "the source is as it was, and the target is refused; remove the target, then move again",
    )
