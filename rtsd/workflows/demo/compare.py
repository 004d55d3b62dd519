"""A comparison of the org with the SQLite mirror, field by field.

It reads the mirror's file with the standard library, as any other program would, and follows contract section
4 alone, independent of rtsd's own conversion of values.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Container, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

_DATETIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\+0000")
_TIME = re.compile(r"\d\d:\d\d:\d\d\.\d{3}")
_EXAMPLES = 5


class Stored(Protocol):
    """A row of the mirror, by the names of its columns."""

    def keys(self) -> Container[str]:
        """The names."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass
class Difference:
    """The differences of an object, as numbers of records with some examples."""

    name: str
    rows: int = 0
    values: int = 0
    missing: int = 0
    orphaned: int = 0
    stale: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """The number of records that differ."""
        return self.missing + self.orphaned + self.stale

    @property
    def equal(self) -> bool:
        """True if mirror and org hold the same records with the same values."""
        return not self.wrong

    def note(self, text: str) -> None:
        """Add an example, up to a few."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(text)


async def compare(
    name: str, truth: AsyncIterator[dict[str, Any]], mirror: Path, hashed: Container[str] = ()
) -> Difference:
    """Compare an object's records in the org with those in the file, in constant memory.

    Fields that a privacy rule hashes are only looked for: they must be there, and unreadable.
    """
    with closing(sqlite3.connect(f"file:{mirror}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return await compare_rows(name, truth, _rows(connection, name), hashed)


async def compare_rows(
    name: str,
    truth: AsyncIterator[dict[str, Any]],
    mirrored: Iterator[Stored],
    hashed: Container[str] = (),
) -> Difference:
    """Compare both sides, each in the order of Id."""
    result = Difference(name)
    ours = next(mirrored, None)
    async for theirs in truth:
        result.rows += 1
        while ours is not None and ours["Id"] < theirs["Id"]:
            _orphaned(result, ours)
            ours = next(mirrored, None)
        if ours is None or ours["Id"] != theirs["Id"]:
            result.missing += 1
            result.note(f"{theirs['Id']} is missing")
            continue
        _compare_record(result, theirs, ours, hashed)
        ours = next(mirrored, None)
    while ours is not None:
        _orphaned(result, ours)
        ours = next(mirrored, None)
    return result


def expected(value: Any) -> Any:
    """Return the mirror's value for a value of Salesforce's JSON (contract section 4)."""
    if value == "":
        return None
    if isinstance(value, str):
        if moment := _DATETIME.fullmatch(value):
            return f"{moment[1]}Z"
        if _TIME.fullmatch(value):
            return f"{value}Z"
    return value  # True equals 1, and 5 equals 5.0


def _rows(connection: sqlite3.Connection, name: str) -> Iterator[sqlite3.Row]:
    quoted = name.replace('"', '""')
    return iter(connection.execute(f'SELECT * FROM "{quoted}" ORDER BY Id'))  # noqa: S608 - quoted


def _compare_record(
    result: Difference, theirs: Mapping[str, Any], ours: Stored, hashed: Container[str]
) -> None:
    columns = ours.keys()
    wrong = [
        key
        for key, value in theirs.items()
        if key not in columns or not _same(value, ours[key], is_hashed=key in hashed)
    ]
    result.values += len(theirs)
    if wrong:
        result.stale += 1
        key = wrong[0]
        held = repr(ours[key])[:60] if key in columns else "no such column"
        result.note(f"{theirs['Id']}.{key}: org {expected(theirs[key])!r:.60}, mirror {held}")


def _same(theirs: Any, ours: Any, *, is_hashed: bool) -> bool:
    if is_hashed:
        return (expected(theirs) is None) == (ours is None) and (ours is None or ours != theirs)
    return bool(ours == theirs or ours == expected(theirs))


def _orphaned(result: Difference, ours: Stored) -> None:
    result.orphaned += 1
    result.note(f"{ours['Id']} is no longer in the org")
