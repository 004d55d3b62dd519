"""SQL queries of operators: read-only, limited in time and rows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.errors import UsageError
from rtsd.store.sqlite import Error, aiosqlite, pysqlite3

TIME_LIMIT_S = 5.0
"""A longer query would keep the WAL from being checkpointed."""
MAX_ROWS = 10_000

_ALLOWED = frozenset(
    {
        pysqlite3.SQLITE_SELECT,
        pysqlite3.SQLITE_READ,
        pysqlite3.SQLITE_FUNCTION,
        pysqlite3.SQLITE_RECURSIVE,
    }
)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The result of a query; `truncated` if there were more rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool


async def run(path: Path, sql: str) -> QueryResult:
    """Run a single SELECT on a separate connection.

    Raises UsageError for other statements, for SQLite's errors, and for a query that takes too long.
    """
    if "\0" in sql:
        raise UsageError("the query contains a NUL character", "remove it")
    connection = await aiosqlite.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        await connection.set_authorizer(_only_reading)
        async with asyncio.timeout(TIME_LIMIT_S):
            cursor = await connection.execute(sql)
            rows = list(await cursor.fetchmany(MAX_ROWS + 1))
    except TimeoutError:
        await connection.interrupt()
        raise UsageError(
            f"the query took longer than {TIME_LIMIT_S:.0f} s", "restrict it to fewer rows"
        ) from None
    except (Error, pysqlite3.Warning) as error:
        raise UsageError(f"SQLite rejects the query: {error}", "use a single SELECT") from error
    else:
        if cursor.description is None:
            raise UsageError("not a query", "use a single SELECT")
        columns = [column[0] for column in cursor.description]
        return QueryResult(columns, [tuple(row) for row in rows[:MAX_ROWS]], len(rows) > MAX_ROWS)
    finally:
        await connection.close()


def _only_reading(action: int, *_details: str | None) -> int:
    """Allow reads only: no PRAGMA, no ATTACH, nothing that opens or writes a file."""
    return int(pysqlite3.SQLITE_OK if action in _ALLOWED else pysqlite3.SQLITE_DENY)
