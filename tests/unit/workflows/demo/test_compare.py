"""The reckoning: it must see every kind of difference, or `equal` would mean nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rtsd.workflows.demo.compare import Difference, compare, expected

TRUTH: list[dict[str, Any]] = [
    {"Id": "a", "Name": "Zoë\n😀", "Amount": 5.0, "Active": True, "At": "2026-03-01T10:00:00.000+0000"},
    {"Id": "b", "Name": "", "Amount": None, "Active": False, "At": None},
    {"Id": "c", "Name": "x", "Amount": 1.5, "Active": False, "At": None},
]
ROWS = [
    ("a", "Zoë\n😀", 5.0, 1, "2026-03-01T10:00:00.000Z"),
    ("b", None, None, 0, None),
    ("c", "x", 1.5, 0, None),
]


async def told(rows: Iterable[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """Stream rows as the org does."""
    for row in rows:
        yield row


async def compared(tmp_path: Path, rows: list[tuple[Any, ...]]) -> Difference:
    """Compare TRUTH with a mirror of `rows`."""
    path = tmp_path / "mirror.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "Deal" (Id TEXT PRIMARY KEY, Name, Amount, Active, At, _rts_seen)')
        connection.executemany("INSERT INTO Deal VALUES (?, ?, ?, ?, ?, 0)", rows)
        connection.commit()
    return await compare("Deal", told(TRUTH), path)


async def test_equal_is_equal(tmp_path: Path) -> None:
    """The forms of contract section 4 are no difference, nor are columns of rtsd's own."""
    result = await compared(tmp_path, ROWS)
    assert result.equal
    assert (result.rows, result.examples) == (3, [])


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_a_missing_record_is_seen(gone: int, tmp_path: Path) -> None:
    """At the start, in the middle and at the end."""
    result = await compared(tmp_path, [row for number, row in enumerate(ROWS) if number != gone])
    assert (result.missing, result.orphaned, result.stale) == (1, 0, 0)
    assert not result.equal


@pytest.mark.parametrize("extra", ["0", "bb", "z"])
async def test_an_orphan_is_seen(extra: str, tmp_path: Path) -> None:
    """Before, between and behind the records of the org."""
    result = await compared(tmp_path, [*ROWS, (extra, None, None, None, None)])
    assert (result.missing, result.orphaned, result.stale) == (0, 1, 0)
    assert not result.equal


@pytest.mark.parametrize(
    "wrong",
    [
        ("a", "Zoe\n😀", 5.0, 1, "2026-03-01T10:00:00.000Z"),
        ("a", "Zoë 😀", 5.0, 1, "2026-03-01T10:00:00.000Z"),
        ("a", "Zoë\n😀", 5.1, 1, "2026-03-01T10:00:00.000Z"),
        ("a", "Zoë\n😀", 5.0, 0, "2026-03-01T10:00:00.000Z"),
        ("a", "Zoë\n😀", 5.0, 1, "2026-03-01T10:00:01.000Z"),
        ("a", "Zoë\n😀", 5.0, 1, None),
    ],
)
async def test_a_wrong_value_is_seen(wrong: tuple[Any, ...], tmp_path: Path) -> None:
    """One letter, one line break, a cent, a flag, a second, a null."""
    result = await compared(tmp_path, [wrong, *ROWS[1:]])
    assert (result.missing, result.orphaned, result.stale) == (0, 0, 1)
    assert result.examples


async def test_a_column_that_is_not_there_is_seen(tmp_path: Path) -> None:
    """Every field of the org counts, not only those that the mirror happens to have."""
    truth = [{**row, "New__c": "x"} for row in TRUTH]
    await compared(tmp_path, ROWS)
    result = await compare("Deal", told(truth), tmp_path / "mirror.db")
    assert result.stale == 3


def test_text_that_looks_like_a_moment_is_only_changed_as_a_whole() -> None:
    """A date-time inside of a text stays as it is."""
    assert expected("at 2026-03-01T10:00:00.000+0000") == "at 2026-03-01T10:00:00.000+0000"
    assert expected("10:00:00.000") == "10:00:00.000Z"
