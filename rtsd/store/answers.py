"""The queries of operators, whichever the engine: their limits, and what is refused in the same words."""

from __future__ import annotations

from typing import Protocol

from rtsd.errors import UsageError
from rtsd.store.past_query import Relations

TIME_LIMIT_S = 5.0
"""A longer query would keep SQLite's WAL from being checkpointed, and PostgreSQL from removing old rows."""
MAX_ROWS = 10_000
MAX_BYTES = 16 << 20
"""Bytes of an encoded result: the daemon holds it until the reader has taken it."""
AT_ONCE = 2
"""Queries at the same time; others wait."""


class Answers(Protocol):
    """Runs the queries of operators."""

    async def run(self, sql: str, relations: Relations | None = None) -> bytes:
        """Run a single SELECT; return its `columns`, `rows` and `truncated` as JSON.

        `relations` stand for objects that it names.
        Raises UsageError for other statements, for the engine's errors, and for a query over a limit.
        """


def require_text(sql: str) -> None:
    """Require a query that an engine reads to its end. Raises UsageError."""
    if "\0" in sql:
        raise UsageError("the query contains a NUL character", "remove it")


def rejected(engine: str, reason: str, *, is_select: bool) -> UsageError:
    """Return the error of a query that an engine rejects: a SELECT that is wrong, or what may be none."""
    do = "correct the query" if is_select else "use a single SELECT"
    return UsageError(f"{engine} rejects the query: {reason}", do)


def too_slow(limit_s: float) -> UsageError:
    """Return the error of a query over the time limit."""
    return UsageError(f"the query took longer than {limit_s:.0f} s", "restrict it to fewer rows")


def too_large(elsewhere: str) -> UsageError:
    """Return the error of a result over the limit; `elsewhere` says where the query may run."""
    return UsageError(
        f"the result is over {MAX_BYTES >> 20} MiB", f"select fewer columns or rows, or {elsewhere}"
    )
