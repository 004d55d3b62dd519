"""The database file: who may open it, how it is opened, and the one way to write.

One connection does every write and every checkpoint; readers have their own, read-only ones.
Transactions begin IMMEDIATE: a deferred one that upgrades fails at once with BUSY_SNAPSHOT, whatever
the busy time-out. WAL with synchronous=FULL: a commit survives a power cut, not only a kill.
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
from typing import Any, Self, cast

from rtsd.errors import AnotherInstance, ForeignDatabase, NewerDatabase, StorageFailed, StorageUnwritable
from rtsd.store import migrate
from rtsd.store.counts import Counts, restore
from rtsd.store.sqlite import Error, aiosqlite, require_sound, store_error

APPLICATION_ID = 0x52545344  # "RTSD": `file` and we can tell our databases from others
BUSY_MS = 5_000
WAL_KEPT = 64 << 20
"""Bytes of the WAL file that are kept for reuse: what a long reader has let it grow to is given back."""
PROBE_BYTES = 64 << 10
_PROBE = "INSERT OR REPLACE INTO _rts_meta (key, value) VALUES ('probe', ?)"

Row = tuple[Any, ...]


class Tx:
    """A transaction in progress; only `Database.transaction` makes one."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.counts = Counts()
        """By how much the transaction changes the database's counts."""
        self._callbacks: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back once this has committed, before another transaction begins; never after a roll-back.

        Memory that mirrors what is stored changes only here.
        """
        self._callbacks.append(callback)

    def committed(self) -> None:
        """Call back, in the order of the requests; only `Database.transaction` knows when."""
        for callback in self._callbacks:
            callback()

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement."""
        await self._connection.execute(sql, parameters)

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for every row; return how many rows it changed in all."""
        cursor = await self._connection.executemany(sql, rows)
        return int(cursor.rowcount)

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query, as the transaction sees the data."""
        return cast("list[Row]", await self._connection.execute_fetchall(sql, parameters))


class Reader:
    """A connection that only reads; only `Database.apart` makes one."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises the StoreError that SQLite's refusal means."""
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
        """What is committed, counted."""
        self._lock_file = lock
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()
        self.failure: str | None = None
        """Why the last write failed, until one succeeds again."""

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database at `path`, and bring its tables up to date.

        Raises AnotherInstance, ForeignDatabase, NewerDatabase, CorruptDatabase or StorageUnwritable
        before anything was written.
        """
        require_sound()
        _require_directory(path.parent)
        lock = _lock(path)
        try:
            if not _is_there(path):
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
        """One write transaction; commits at the end, rolls back on any exception.

        Raises the StoreError that SQLite's refusal means.
        """
        async with self._turn:
            try:
                try:
                    await self._writer.execute("BEGIN IMMEDIATE")  # cancelled, it begins all the same
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
        """Return once a read was answered; a write that takes long does not matter. Raises RtsError."""
        await self.fetch("SELECT 1")
        if not self._writer._thread.is_alive():  # noqa: SLF001 - aiosqlite has no other way to ask
            raise StorageFailed("the thread that writes has ended", "this is a bug; rtsd restarts")

    async def probe(self) -> None:
        """Try whether what failed works again, with more than a push needs. Raises StoreError."""
        async with self.transaction() as tx:
            await tx.execute(_PROBE, (bytes(PROBE_BYTES),))
        async with self.transaction() as tx:
            await tx.execute("DELETE FROM _rts_meta WHERE key='probe'")

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep every writer of ours out while something else works on the file."""
        async with self._turn:
            yield

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Read what is committed, without waiting for writers."""
        try:
            return cast("list[Row]", await self._reader.execute_fetchall(sql, parameters))
        except Error as error:
            raise store_error(error, str(self.path)) from error

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Reader]:
        """A connection of its own, for queries that take long: nobody else waits for them."""
        connection = await _connect(self.path, read_only=True)
        try:
            yield Reader(connection, self.path)
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close; the last connection checkpoints the WAL and removes it."""
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
        """Commit, then count and call back; a commit that is cancelled goes through all the same."""
        committing = asyncio.ensure_future(self._writer.execute("COMMIT"))
        committing.add_done_callback(partial(self._follow, tx))
        await asyncio.shield(committing)

    def _follow(self, tx: Tx, committing: asyncio.Future[Any]) -> None:
        if not committing.cancelled() and committing.exception() is None:
            self.counts.add(tx.counts)
            tx.committed()

    async def _rollback(self) -> None:
        # A cancelled COMMIT still goes through in SQLite's thread, before this; then there is nothing to
        # roll back. Either way nobody gets the connection before its thread is done with this transaction.
        with suppress(Error):
            await asyncio.shield(self._writer.execute("ROLLBACK"))


async def _connect(path: Path, *, read_only: bool) -> aiosqlite.Connection:
    mode = "ro" if read_only else "rw"
    connection = await aiosqlite.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None)
    try:
        await connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        if not read_only:
            await connection.execute("PRAGMA journal_mode=WAL")
            await connection.execute("PRAGMA synchronous=FULL")
            await connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT}")
            await migrate.run(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


def _require_directory(directory: Path) -> None:
    try:
        exists = directory.is_dir()
    except OSError as error:
        reason = f"{directory} is out of reach: {error.strerror}"
        raise StorageUnwritable(reason, "change its owner or mode") from error
    if not exists:
        raise StorageUnwritable(f"{directory} does not exist", "create it, owned by the user rtsd runs as")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StorageUnwritable(f"{directory} is not writable for this user", "change its owner or mode")


def _lock(path: Path) -> int:
    """Take the lock beside the database; the kernel drops it with the process, kill -9 included."""
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
            f"another rtsd is using {path}", "stop it, or give this one its own [store] path"
        ) from None
    return descriptor


def _is_there(path: Path) -> bool:
    """Look at an existing file without changing a byte of it; False when there is none, or an empty one."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    if not path.is_file():
        raise StorageUnwritable(f"{path} is not a file", "give [store] path the name of a file")
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
            f"{path} is a database that rtsd did not make",
            "nothing was changed; give [store] path another file",
        )
    if found > migrate.LATEST:
        raise NewerDatabase(
            f"{path} was written by a newer rtsd (schema {found}, this one knows {migrate.LATEST})",
            "nothing was changed; run the newer version, or load into another file",
        )
    return True


async def _create(path: Path) -> None:
    """Make a new database elsewhere and give it its name when it is whole, 0600 as -wal and -shm will be.

    A kill during this must not leave a file that looks like somebody else's.
    """
    unfinished = path.with_name(f".{path.name}.new")
    try:
        for left in path.parent.glob(f"{unfinished.name}*"):
            left.unlink()
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
