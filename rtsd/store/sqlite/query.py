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
from rtsd.store.sqlite import query_worker

TIME_LIMIT_S = 5.0
"""A longer query would keep the WAL from being checkpointed."""
MAX_ROWS = 10_000
MAX_BYTES = 16 << 20
"""Bytes of an encoded result: the daemon holds it until the reader has taken it."""
MAX_MEMORY = 48 << 20
"""Bytes that SQLite may use for a query; the bundled one sorts in memory."""
AT_ONCE = 2
"""Queries at the same time; others wait. Each takes a core and some 100 MB at most."""


class _Head(msgspec.Struct):
    """The first line of the worker's output."""

    refused: str | None
    detail: str


class Queries:
    """Runs queries on the database at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def run(self, sql: str) -> bytes:
        """Run a single SELECT; return its `columns`, `rows` and `truncated` as JSON.

        Raises UsageError for other statements, for SQLite's errors, and for a query over a limit.
        """
        if "\0" in sql:
            raise UsageError("the query contains a NUL character", "remove it")
        async with self._turn:
            try:
                async with asyncio.timeout(TIME_LIMIT_S):
                    output = await _run_worker(sql, self._arguments())
            except TimeoutError:
                raise UsageError(
                    f"the query took longer than {TIME_LIMIT_S:.0f} s", "restrict it to fewer rows"
                ) from None
        head, _, body = output.partition(b"\n")
        found = msgspec.json.decode(head, type=_Head)
        if found.refused is not None:
            raise _refusal(found)
        return body

    def _arguments(self) -> Sequence[str]:
        limits = (MAX_ROWS, MAX_BYTES, MAX_MEMORY, math.ceil(TIME_LIMIT_S) + 1)
        return (str(self._path), *map(str, limits))


async def _run_worker(sql: str, arguments: Sequence[str]) -> bytes:
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
        output, errors = await worker.communicate(sql.encode(errors="replace"))
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
    elsewhere = "or open the mirror's file, read-only, with another program"
    if found.refused == "bytes":
        return UsageError(
            f"the result is over {MAX_BYTES >> 20} MiB", f"select fewer columns or rows, {elsewhere}"
        )
    if found.refused == "memory":
        return UsageError(
            f"the query needs more than {MAX_MEMORY >> 20} MiB of memory",
            f"sort, group and join fewer rows, {elsewhere}",
        )
    if found.refused == "no_query":
        return UsageError("not a query", "use a single SELECT")
    return UsageError(f"SQLite rejects the query: {found.detail}", "use a single SELECT")
