"""Open database files: read connections, write transactions.

A single connection does every write and every checkpoint of a file; readers have read-only connections.
Transactions begin IMMEDIATE, because a deferred one that upgrades fails with BUSY_SNAPSHOT regardless of the
busy time-out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from rtsd.errors import StorageFailed, StorageUnwritable, StoreError
from rtsd.store import files
from rtsd.store.counts import Counts, restore
from rtsd.store.sqlite import Error, aiosqlite, require_sound, store_error

PROBE_BYTES = 64 << 10
_PROBE = "INSERT OR REPLACE INTO _rts_meta (key, value) VALUES ('probe', ?)"

Row = tuple[Any, ...]


class Queries(Protocol):
    """What answers queries on committed data."""

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""


class Tx:
    """A write transaction, created by `Database.transaction`."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.counts = Counts()
        """The transaction's changes of the database's counts."""
        self._callbacks: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Run a callback after the commit and before the next transaction, but not after a rollback.

        Memory that reflects stored data changes only in such callbacks.
        """
        self._callbacks.append(callback)

    def committed(self) -> None:
        """Run the callbacks in order; for `Database.transaction` only."""
        for callback in self._callbacks:
            callback()

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
    """A separate read-only connection, created by `Database.apart`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""
        try:
            return cast("list[Row]", await self._connection.execute_fetchall(sql, parameters))
        except Error as error:
            raise store_error(error, str(self._path)) from error


class Database:
    """An open file. `async with await Database.open(path) as database: …` opens the mirror."""

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection, lock: int | None
    ) -> None:
        self.path = path
        self.counts = Counts()
        """The counts of committed data."""
        self._lock_file = lock
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()
        self.failure: str | None = None
        """The reason the last write failed; None once a write succeeds."""

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

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Run a write transaction: commit at the end, roll back on any exception. Raises StoreError."""
        async with self._turn:
            try:
                try:
                    await self._writer.execute("BEGIN IMMEDIATE")  # begins even if cancelled
                    tx = Tx(self._writer)
                    yield tx
                    await self._commit(tx)
                except BaseException:
                    await self._rollback()
                    raise
            except Error as error:
                self.failure = str(error)
                raise store_error(error, str(self.path)) from error
            self.failure = None

    @property
    def is_log_held(self) -> bool:
        """Whether another program's reader keeps the write-ahead log from being reused, so that it grows."""
        try:
            return files.wal_path(self.path).stat().st_size > files.WAL_KEPT
        except OSError:  # no write-ahead log, or not readable: then writes fail and tell why
            return False

    async def pulse(self) -> None:
        """Return once a read succeeded, even during a long write. Raises RtsError."""
        await self.fetch("SELECT 1")
        if not self._writer._thread.is_alive():  # noqa: SLF001 - aiosqlite offers no other way
            raise StorageFailed("the writer thread has ended", "this is a bug; rtsd restarts")

    async def probe(self) -> None:
        """Probe the storage after a failure, with more bytes than a push needs. Raises StoreError."""
        async with self.transaction() as tx:
            await tx.execute(_PROBE, (bytes(PROBE_BYTES),))
        async with self.transaction() as tx:
            await tx.execute("DELETE FROM _rts_meta WHERE key='probe'")

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Block this process's writers while another process works on the file."""
        async with self._turn:
            yield

    async def truncate_wal(self) -> None:
        """Copy the WAL into the file and empty it. Raises StoreError, also if a reader prevents it."""
        async with self._turn:
            try:
                ((busy, *_),) = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            except Error as error:
                raise store_error(error, str(self.path)) from error
        if busy:
            raise StoreError("another program is reading the write-ahead log", "end it; then restart rtsd")

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query on committed data, without waiting for writers. Raises StoreError."""
        try:
            return cast("list[Row]", await self._reader.execute_fetchall(sql, parameters))
        except Error as error:
            raise store_error(error, str(self.path)) from error

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Reader]:
        """Open a separate connection for long queries, which do not block other readers."""
        connection = await files.connect(self.path)
        try:
            yield Reader(connection, self.path)
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close the database; the last connection checkpoints and removes the WAL."""
        await self._reader.close()
        await self._writer.close()
        if self._lock_file is not None:
            os.close(self._lock_file)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _commit(self, tx: Tx) -> None:
        """Commit, then update the counts and run the callbacks, even if cancelled."""
        committing = asyncio.ensure_future(self._writer.execute("COMMIT"))
        committing.add_done_callback(partial(self._follow, tx))
        await asyncio.shield(committing)

    def _follow(self, tx: Tx, committing: asyncio.Future[Any]) -> None:
        if not committing.cancelled() and committing.exception() is None:
            self.counts.add(tx.counts)
            tx.committed()

    async def _rollback(self) -> None:
        # A cancelled COMMIT still completes in SQLite's thread before this statement, which then has nothing
        # to roll back. Either way the connection stays reserved until its thread has finished the
        # transaction.
        with suppress(Error):
            await asyncio.shield(self._writer.execute("ROLLBACK"))


@asynccontextmanager
async def peek(path: Path) -> AsyncIterator[Reader | None]:
    """Open the database at `path` to read it only, whether rtsd runs or not; yield None if there is none.

    Nothing is created: without a WAL, nothing has to be replayed. Raises StoreError.
    """
    uri = _uri_to_peek(path)
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


def _uri_to_peek(path: Path) -> str:
    """Return how to open the file without creating others beside it; empty if there is none."""
    try:
        if not path.is_file() or not path.stat().st_size:
            return ""
        unchanging = "" if files.wal_path(path).exists() else "&immutable=1"
    except OSError as error:
        raise StorageUnwritable(f"{path} is not accessible: {error.strerror}", "check its owner") from error
    return f"file:{path}?mode=ro{unchanging}"
