"""A program of `examples/`, as a process."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[3] / "examples"
START_S = 30


async def begin(script: str, *arguments: object) -> tuple[asyncio.subprocess.Process, str]:
    """Start one; return it with the first line that it prints, which says that it is ready."""
    command = (sys.executable, EXAMPLES / script, *arguments)
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        line = (await process.stdout.readline()).decode().strip()
    assert line, f"{script} ended with {await process.wait()}"
    return process, line


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill it: no chance to do anything more."""
    if process.returncode is None:
        process.kill()
    await process.wait()


@asynccontextmanager
async def running(script: str, *arguments: object) -> AsyncIterator[str]:
    """Run one; yield the first line that it prints."""
    process, line = await begin(script, *arguments)
    try:
        yield line
    finally:
        await end(process)


def rows(database: Path, sql: str) -> list[Any]:
    """Query what it has written."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        return opened.execute(sql).fetchall()
