"""Index builds in constant memory: in a separate process, while nothing else writes.

The bundled SQLite sorts in memory (compiled with TEMP_STORE=3), so CREATE INDEX on millions of rows would
take hundreds of megabytes in the daemon. The standard library's SQLite sorts in files. One process must not
use both libraries on the same file (POSIX locks are per process). No other connection writes or checkpoints
meanwhile, so the older library's WAL-reset bug cannot occur.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rtsd.errors import StoreError
from rtsd.store import mirror
from rtsd.store.schema import Table

if TYPE_CHECKING:
    from rtsd.store.sqlite.database import SqliteDatabase

SMALL = 200_000
"""Up to this many rows, sorting takes some 20 MB, and separate processes would take twice as long."""

_CHILD = """
import sqlite3, sys
path, statement = sys.argv[1:]
connection = sqlite3.connect(path, isolation_level=None)
for pragma in ("busy_timeout=60000", "wal_autocheckpoint=0", "synchronous=FULL", "temp_store=FILE"):
    connection.execute("PRAGMA " + pragma)
connection.execute(statement)
connection.close()
"""


async def build(database: SqliteDatabase, table: Table) -> None:
    """Build the missing indexes one at a time, so that pushes are written in between. Raises StoreError."""
    found = {
        row[0]
        for row in await database.fetch(
            "SELECT name FROM sqlite_master WHERE type='index' AND tbl_name=?", (table.name,)
        )
    }
    missing = [statement for name, statement in table.indexes.items() if name not in found]
    if missing and await mirror.count(database, table) <= SMALL:
        for statement in missing:
            async with database.transaction() as tx:
                await tx.execute(statement)
        return
    for statement in missing:
        if reason := await run_alone(database, statement):
            raise StoreError(f"an index could not be built: {reason}", "rtsd retries at the next audit")


async def run_alone(database: SqliteDatabase, statement: str) -> str:
    """Run a statement that sorts or copies much, in a process of its own; return why it failed, else ""."""
    async with database.alone():
        return await _run_child((str(database.path), statement))


async def _run_child(arguments: Sequence[str]) -> str:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-c",
        _CHILD,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await child.communicate()
    except BaseException:
        child.kill()
        await child.wait()
        raise
    return errors.decode(errors="replace").strip().rpartition("\n")[2] if child.returncode else ""
