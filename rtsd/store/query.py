"""Questions an operator asks in SQL: read-only, limited in time and rows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.errors import UsageError
from rtsd.store.sqlite import Error, aiosqlite, pysqlite3

TIME_LIMIT_S = 5.0
"""A reader that stays longer keeps the WAL from being checkpointed."""
MOST_ROWS = 10_000

_ALLOWED = frozenset(
    {
        pysqlite3.SQLITE_SELECT,
        pysqlite3.SQLITE_READ,
        pysqlite3.SQLITE_FUNCTION,
        pysqlite3.SQLITE_RECURSIVE,
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query returned; `truncated` when there were more rows than are given."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool


async def run(path: Path, sql: str) -> Answer:
    """Run one SELECT on a connection of its own.

    Raises UsageError for anything else, for what SQLite refuses, and when it takes too long.
    """
    connection = await aiosqlite.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        await connection.set_authorizer(_only_reading)
        async with asyncio.timeout(TIME_LIMIT_S):
            cursor = await connection.execute(sql)
            rows = list(await cursor.fetchmany(MOST_ROWS + 1))
    except TimeoutError:
        await connection.interrupt()
        raise UsageError(f"the query took longer than {TIME_LIMIT_S:.0f} s", "narrow it down") from None
    except (Error, pysqlite3.Warning) as error:
        raise UsageError(f"SQLite refuses the query: {error}", "one SELECT is allowed") from error
    else:
        if cursor.description is None:
            raise UsageError("not a query", "one SELECT is allowed")
        columns = [column[0] for column in cursor.description]
        return Answer(columns, [tuple(row) for row in rows[:MOST_ROWS]], len(rows) > MOST_ROWS)
    finally:
        await connection.close()


def _only_reading(action: int, *_details: str | None) -> int:
    """Let SQLite prepare reads only: no PRAGMA, no ATTACH, nothing that opens or writes a file."""
    return int(pysqlite3.SQLITE_OK if action in _ALLOWED else pysqlite3.SQLITE_DENY)
