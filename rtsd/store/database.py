"""The database file: locking, opening and creating it, read connections, write transactions.

A single connection does every write and every checkpoint; readers have read-only connections. Transactions
begin IMMEDIATE, because a deferred one that upgrades fails with BUSY_SNAPSHOT regardless of the busy
time-out. In WAL mode with synchronous=FULL a commit survives a power cut, not only a kill.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3 as standard_sqlite
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from rtsd.errors import (
    AnotherInstance,
    ForeignDatabase,
    NewerDatabase,
    StorageFailed,
    StorageUnwritable,
    StoreError,
)
from rtsd.store import csv_extension, migrations
from rtsd.store.counts import Counts, restore
from rtsd.store.sqlite import Error, aiosqlite, require_sound, store_error

APPLICATION_ID = 0x52545344  # "RTSD": identifies the database, also to file(1)
BUSY_MS = 5_000
WAL_KEPT = 64 << 20
"""Bytes of the WAL file kept for reuse; growth due to a long-running reader is truncated."""
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
    """The open database. `async with await Database.open(path) as database: …`."""

    def __init__(
        self,
        path: Path,
        lock: int,
        *,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        counts: Counts,
    ) -> None:
        self.path = path
        self.counts = counts
        """The counts of committed data."""
        self._lock_file = lock
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()
        self.failure: str | None = None
        """The reason the last write failed; None once a write succeeds."""

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database at `path` and migrate its schema.

        Raises AnotherInstance, ForeignDatabase, NewerDatabase, CorruptDatabase or StorageUnwritable before
        anything is written.
        """
        require_sound()
        _require_directory(path.parent)
        lock = _lock(path)
        try:
            if not _exists(path):
                require_no_leftovers(path)
                await _create(path)
            writer = await _connect(path, read_only=False)
            reader = await _connect(path, read_only=True)
            counts = await restore(Reader(reader, path).fetch)
        except BaseException as error:
            os.close(lock)
            if isinstance(error, Error):
                raise store_error(error, str(path)) from error
            raise
        return cls(path, lock, writer=writer, reader=reader, counts=counts)

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
        connection = await _connect(self.path, read_only=True)
        try:
            yield Reader(connection, self.path)
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close the database; the last connection checkpoints and removes the WAL."""
        await self._reader.close()
        await self._writer.close()
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
        unchanging = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    except OSError as error:
        raise StorageUnwritable(f"{path} is not accessible: {error.strerror}", "check its owner") from error
    return f"file:{path}?mode=ro{unchanging}"


async def _connect(path: Path, *, read_only: bool) -> aiosqlite.Connection:
    mode = "ro" if read_only else "rw"
    connection = await aiosqlite.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None)
    try:
        await connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        if not read_only:
            await connection.execute("PRAGMA journal_mode=WAL")
            await connection.execute("PRAGMA synchronous=FULL")
            await connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT}")
            await csv_extension.enable(connection)
            await migrations.run(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


def _require_directory(directory: Path) -> None:
    try:
        exists = directory.is_dir()
    except OSError as error:
        reason = f"{directory} is not accessible: {error.strerror}"
        raise StorageUnwritable(reason, "change its owner or mode") from error
    if not exists:
        raise StorageUnwritable(f"{directory} does not exist", "create it, owned by the user that runs rtsd")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StorageUnwritable(f"{directory} is not writable by this user", "change its owner or mode")


def _lock(path: Path) -> int:
    """Acquire the lock file next to the database; the kernel releases it when the process ends."""
    try:
        descriptor = os.open(
            path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise StorageUnwritable(f"cannot lock {path}: {error.strerror}", "check the directory") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AnotherInstance(
            f"another rtsd is using {path}", "stop it, or set [store] path to another file for this one"
        ) from None
    return descriptor


def _exists(path: Path) -> bool:
    """Check an existing file without changing it; False for a missing or empty file. Raises StoreError."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    if not path.is_file():
        raise StorageUnwritable(f"{path} is not a file", "set [store] path to a file")
    if path.stat().st_mode & 0o077:
        raise StorageUnwritable(f"{path} can be read by others", f"chmod 600 {path}")
    try:
        probe = standard_sqlite.connect(f"file:{path}?mode=ro", uri=True)
        try:
            (application,) = probe.execute("PRAGMA application_id").fetchone()
            (found,) = probe.execute("PRAGMA user_version").fetchone()
        finally:
            probe.close()
    except standard_sqlite.Error as error:
        raise store_error(error, str(path)) from error
    if application != APPLICATION_ID:
        raise ForeignDatabase(
            f"{path} is a database of another program",
            "nothing was changed; set [store] path to another file",
        )
    if found > migrations.LATEST:
        raise NewerDatabase(
            f"{path} was written by a newer rtsd (schema {found}, this one supports {migrations.LATEST})",
            "nothing was changed; run the newer version, or load into another file",
        )
    return True


def require_no_leftovers(path: Path) -> None:
    """Refuse to create a database beside the journal of an earlier one, which SQLite would replay into it.

    Raises StorageUnwritable, and changes nothing.
    """
    left = [Path(f"{path}{suffix}") for suffix in ("-wal", "-journal")]
    if not any(file.exists() and file.stat().st_size for file in left):
        return
    raise StorageUnwritable(
        f"{path} is missing, but {path.name}-wal or {path.name}-journal of an earlier mirror is there: SQLite"
        " would replay it into a new one",
        f"put {path.name} back, or remove {path}-wal, {path}-shm and {path}-journal to load the mirror again",
    )


async def _create(path: Path) -> None:
    """Create a new database under a temporary name and rename it when complete.

    So a kill in between never leaves a partial database at `path`. Its mode 0600 applies to -wal and -shm
    too.
    """
    unfinished = path.with_name(f".{path.name}.new")
    try:
        for leftover in path.parent.glob(f"{unfinished.name}*"):
            leftover.unlink()
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        await (await _connect(unfinished, read_only=False)).close()
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StorageUnwritable(f"cannot create {path}: {error.strerror}", "check the directory") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
