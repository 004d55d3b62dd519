"""An open SQLite file.

A single connection does every write and every checkpoint of a file; readers have read-only connections.
Transactions begin IMMEDIATE, because a deferred one that upgrades fails with BUSY_SNAPSHOT regardless of the
busy time-out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

from rtsd.errors import RtsError, StorageFailed, StorageUnwritable, StoreError
from rtsd.store.counts import restore
from rtsd.store.database import Database, Row, Tx
from rtsd.store.dialect import Dialect
from rtsd.store.schema import Table
from rtsd.store.sqlite import files, indexes
from rtsd.store.sqlite.csv_loader import CsvLoader
from rtsd.store.sqlite.dialect import SQLITE
from rtsd.store.sqlite.library import Error, aiosqlite, require_sound, store_error

MAX_FAULTS = 20
"""Findings reported of a damaged file."""


class SqliteTx(Tx):
    """A write transaction of a file."""

    def __init__(self, connection: aiosqlite.Connection, loader: CsvLoader) -> None:
        super().__init__(SQLITE, loader)
        self._connection = connection

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement."""
        await self._connection.execute(sql, parameters)

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for every row; return the total number of rows changed."""
        cursor = await self._connection.executemany(sql, rows)
        return int(cursor.rowcount)

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query inside the transaction."""
        return cast("list[Row]", await self._connection.execute_fetchall(sql, parameters))


class Reader:
    """A separate read-only connection, created by `SqliteDatabase.apart`."""

    dialect: Dialect = SQLITE

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""
        try:
            return cast("list[Row]", await self._connection.execute_fetchall(sql, parameters))
        except Error as error:
            raise store_error(error, str(self._path)) from error


class SqliteDatabase(Database):
    """An open file. `async with await SqliteDatabase.open(path) as database: …` opens the mirror."""

    errors = (Error,)

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection, lock: int | None
    ) -> None:
        super().__init__(str(path), SQLITE)
        self.path = path
        self._lock_file = lock
        self._writer = writer
        self._reader = Reader(reader, path)
        self._connections = (reader, writer)
        self._loader = CsvLoader()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the mirror at `path`, lock it, and migrate its schema.

        Raises AnotherInstance, ForeignDatabase, NewerDatabase, CorruptDatabase or StorageUnwritable before
        anything is written.
        """
        require_sound()
        files.require_directory(path.parent)
        lock = files.lock(path)
        try:
            if not files.exists(path, files.MIRROR):
                files.require_no_leftovers(path)
                await files.create(path, files.MIRROR)
            opened = await cls.connected(path, files.MIRROR, lock)
        except BaseException:
            os.close(lock)
            raise
        opened.counts = await restore(opened.fetch)
        return opened

    @classmethod
    async def connected(cls, path: Path, written_as: files.Format, lock: int | None = None) -> Self:
        """Connect to an existing file, whose `lock` is released with it. Raises StoreError."""
        try:
            writer = await files.connect(path, written_as)
            reader = await files.connect(path)
        except Error as error:
            raise store_error(error, str(path)) from error
        return cls(path, writer, reader, lock)

    @property
    def is_log_held(self) -> bool:
        """Whether another program's reader keeps the WAL from being reused, so that it grows."""
        try:
            return files.wal_path(self.path).stat().st_size > files.WAL_KEPT
        except OSError:  # no write-ahead log, or not readable: then writes fail and tell why
            return False

    async def pulse(self) -> None:
        """Return once a read succeeded, even during a long write. Raises RtsError."""
        await super().pulse()
        if not self._writer._thread.is_alive():  # noqa: SLF001 - aiosqlite offers no other way
            raise StorageFailed("the writer thread has ended", "this is a bug; rtsd restarts")

    async def _truncate_wal(self) -> None:
        """Copy the WAL into the file and empty it. Raises StoreError, also if a reader prevents it."""
        async with self._turn:
            try:
                ((busy, *_),) = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            except Error as error:
                raise self._translated(error) from error
        if busy:
            raise StoreError("another program is reading the write-ahead log", "end it; then restart rtsd")

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query on committed data, without waiting for writers. Raises StoreError."""
        return await self._reader.fetch(sql, parameters)

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Reader]:
        """Open a separate connection for long queries, which do not block other readers."""
        connection = await files.connect(self.path)
        try:
            yield Reader(connection, self.path)
        finally:
            await connection.close()

    async def stream(self, sql: str, at_once: int) -> AsyncGenerator[list[Row]]:
        """Yield the rows of a query in a read transaction of its own."""
        connection = await files.connect(self.path)
        try:
            async with connection.execute(sql) as cursor:
                while found := await cursor.fetchmany(at_once):
                    yield cast("list[Row]", found)
        except Error as error:
            raise store_error(error, self.name) from error
        finally:
            await connection.close()

    async def build_indexes(self, table: Table) -> None:
        """Build the missing indexes one at a time, so that pushes are written in between."""
        await indexes.build(self, table)

    async def faults(self) -> list[str]:
        """Return SQLite's findings on the structure of the file."""
        async with self.apart() as reader:
            rows = await reader.fetch(f"PRAGMA integrity_check({MAX_FAULTS})")
        return [row[0] for row in rows if row[0] != "ok"]

    async def erase_free_space(self) -> None:
        """Write the whole file again, so that nothing in its free pages or the WAL shows former values.

        It takes as much free space as the file has, and the WAL as much again. Raises StoreError.
        """
        if reason := await indexes.run_alone(self, "VACUUM"):
            raise StoreError(
                f"former values could not be erased from the free pages of {self.path}: {reason}",
                "free as much space as the file has, twice; rtsd repeats it at the next start",
            )
        await self._truncate_wal()

    async def close(self) -> None:
        """Close the database; the last connection checkpoints and removes the WAL."""
        for connection in self._connections:
            await connection.close()
        if self._lock_file is not None:
            os.close(self._lock_file)

    async def _begin(self) -> SqliteTx:
        await self._writer.execute("BEGIN IMMEDIATE")
        return SqliteTx(self._writer, self._loader)

    async def _commit(self) -> None:
        await self._writer.execute("COMMIT")

    async def _rollback(self) -> None:
        # A cancelled COMMIT still completes in SQLite's thread before this statement, which then has nothing
        # to roll back. Either way the connection stays reserved until its thread has finished the
        # transaction.
        with suppress(Error):
            await asyncio.shield(self._writer.execute("ROLLBACK"))

    def _translated(self, error: Exception) -> RtsError:
        return store_error(error, self.name)


@asynccontextmanager
async def peek(path: Path) -> AsyncIterator[Reader | None]:
    """Open the database at `path` to read it only, whether rtsd runs or not; yield None if there is none.

    Nothing is created: without a WAL, nothing has to be replayed. Raises StoreError.
    """
    uri = uri_to_read(path)
    if not uri:
        yield None
        return
    try:
        connection = await aiosqlite.connect(uri, uri=True)
    except Error as error:
        raise store_error(error, str(path)) from error
    try:
        yield Reader(connection, path)
    finally:
        await connection.close()


def uri_to_read(path: Path) -> str:
    """Return how to open the file without creating others beside it; empty if there is none."""
    try:
        if not path.is_file() or not path.stat().st_size:
            return ""
        unchanging = "" if files.wal_path(path).exists() else "&immutable=1"
    except OSError as error:
        raise StorageUnwritable(f"{path} is not accessible: {error.strerror}", "check its owner") from error
    return f"file:{path}?mode=ro{unchanging}"
