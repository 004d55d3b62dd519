"""SQL queries of operators: read-only, each in its own process, limited in time, rows, bytes and memory."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from rtsd.errors import RtsError, StoreError, UsageError
from rtsd.store.answers import (
    AT_ONCE,
    MAX_BYTES,
    MAX_ROWS,
    TIME_LIMIT_S,
    rejected,
    require_text,
    too_large,
    too_slow,
)
from rtsd.store.dialect import quoted
from rtsd.store.past_query import Relations
from rtsd.store.sqlite import query_worker

MAX_MEMORY = 48 << 20
"""Bytes that SQLite may use for a query; the bundled one sorts in memory."""

_NO_SELECT = ("not authorized", "You can only execute one statement")
"""How the messages begin about what is no single SELECT."""


class _Asked(msgspec.Struct):
    """The worker's input."""

    sql: str
    views: list[str]
    """Statements that come before."""


class _Head(msgspec.Struct):
    """The first line of the worker's output."""

    refused: str | None
    detail: str


class Queries:
    """Runs queries on the database at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def run(self, sql: str, relations: Relations | None = None) -> bytes:
        """Run a single SELECT; return its `columns`, `rows` and `truncated` as JSON.

        `relations` stand for objects that it names, as temporary views: their names come first.
        Raises UsageError for other statements, for SQLite's errors, and for a query over a limit.
        """
        require_text(sql)
        views = [f"CREATE TEMP VIEW {quoted(name)} AS {view}" for name, view in (relations or {}).items()]
        asked = msgspec.json.encode(_Asked(sql.encode(errors="replace").decode(), views))
        async with self._turn:
            try:
                async with asyncio.timeout(TIME_LIMIT_S):
                    output = await _run_worker(asked, self._arguments())
            except TimeoutError:
                raise too_slow(TIME_LIMIT_S) from None
        head, _, body = output.partition(b"\n")
        found = msgspec.json.decode(head, type=_Head)
        if found.refused is not None:
            raise _refusal(found)
        return body

    def _arguments(self) -> Sequence[str]:
        limits = (MAX_ROWS, MAX_BYTES, MAX_MEMORY, math.ceil(TIME_LIMIT_S) + 1)
        return (str(self._path), *map(str, limits))


async def _run_worker(asked: bytes, arguments: Sequence[str]) -> bytes:
    """Return the worker's output; it is killed if this is cancelled. Raises StoreError."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        query_worker.__file__,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await worker.communicate(asked)
    except BaseException:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
        raise
    if worker.returncode or not output:
        reason = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise StoreError(f"the query's process failed: {reason or worker.returncode}", "run it again")
    return output


def _refusal(found: _Head) -> RtsError:
    elsewhere = "open the mirror's file, read-only, with another program"
    if found.refused == "bytes":
        return too_large(elsewhere)
    if found.refused == "memory":
        return UsageError(
            f"the query needs more than {MAX_MEMORY >> 20} MiB of memory",
            f"sort, group and join fewer rows, or {elsewhere}",
        )
    if found.refused == "no_query":
        return UsageError("not a query", "use a single SELECT")
    return rejected("SQLite", found.detail, is_select=not found.detail.startswith(_NO_SELECT))
