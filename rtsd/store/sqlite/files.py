"""The store's files: which are ours, locking, creating and connecting to them.

There are two: the mirror, and the inbox beside it. Both are SQLite databases in WAL mode. With
synchronous=FULL a commit survives a power cut, not only a kill.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3 as standard_sqlite
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.errors import AnotherInstance, ForeignDatabase, NewerDatabase, StorageUnwritable
from rtsd.store.moving.sides import MARKED, unfinished_move
from rtsd.store.sqlite import csv_extension, migrations
from rtsd.store.sqlite.library import Error, aiosqlite, store_error
from rtsd.store.sqlite.migrations import FileMigrations

BUSY_MS = 5_000
WAL_KEPT = 16 << 20
"""Bytes of a WAL file kept for reuse; growth due to a long-running reader is truncated."""


@dataclass(frozen=True, slots=True)
class Format:
    """What tells a file of ours from others."""

    application_id: int
    """Identifies the file, also to file(1)."""
    migrations: FileMigrations


MIRROR = Format(0x52545344, migrations.MIRROR)  # "RTSD"
INBOX = Format(0x52545349, migrations.INBOX)  # "RTSI"


def inbox_path(mirror: Path) -> Path:
    """The inbox of the mirror at `mirror`."""
    return mirror.with_name(f"{mirror.name}.inbox")


def wal_path(path: Path) -> Path:
    """The write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


async def connect(path: Path, written_as: Format | None = None) -> aiosqlite.Connection:
    """Connect to write, after the missing migrations; without a format, to read only."""
    mode = "rw" if written_as else "ro"
    connection = await aiosqlite.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None)
    try:
        await connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        if written_as is not None:
            await connection.execute("PRAGMA journal_mode=WAL")
            await connection.execute("PRAGMA synchronous=FULL")
            await connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT}")
            if written_as is MIRROR:
                await csv_extension.enable(connection)
            await written_as.migrations.run(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


def require_directory(directory: Path) -> None:
    """Require a directory to write to. Raises StorageUnwritable."""
    try:
        exists = directory.is_dir()
    except OSError as error:
        reason = f"{directory} is not accessible: {error.strerror}"
        raise StorageUnwritable(reason, "change its owner or mode") from error
    if not exists:
        raise StorageUnwritable(f"{directory} does not exist", "create it, owned by the user that runs rtsd")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StorageUnwritable(f"{directory} is not writable by this user", "change its owner or mode")


def lock(path: Path) -> int:
    """Acquire the lock file next to the mirror; the kernel releases it when the process ends.

    Raises AnotherInstance and StorageUnwritable.
    """
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


def exists(path: Path, wanted: Format) -> bool:
    """Check an existing file without changing it; False for a missing or empty file. Raises StoreError."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    if not path.is_file():
        raise StorageUnwritable(f"{path} is not a file", "set [store] path to a file")
    if path.stat().st_mode & 0o077:
        raise StorageUnwritable(f"{path} can be read by others", f"chmod 600 {path}")
    application, found, marked = _probed(path, wanted)
    if application != wanted.application_id:
        raise ForeignDatabase(
            f"{path} is a database of another program",
            "nothing was changed; set [store] path to another file",
        )
    if marked is not None:
        raise unfinished_move(str(path), marked, f"remove {path} and {path}.inbox")
    if found > wanted.migrations.latest:
        raise NewerDatabase(
            f"{path} was written by a newer rtsd (schema {found}, this one supports"
            f" {wanted.migrations.latest})",
            "nothing was changed; run the newer version, or load into another file",
        )
    return True


def unfinished(path: Path) -> str | None:
    """Return where an unfinished move to `path` came from; None if there is none. Raises StoreError."""
    if not path.is_file() or path.stat().st_size == 0:
        return None
    return _probed(path, MIRROR)[2]


def remove(path: Path) -> None:
    """Remove the mirror at `path` and its inbox. Raises StorageUnwritable."""
    try:
        for file in (path, inbox_path(path)):
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{file}{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise StorageUnwritable(f"cannot remove {path}: {error.strerror}", "check the directory") from error


def _probed(path: Path, wanted: Format) -> tuple[int, int, str | None]:
    """Return a file's application, its version, and the mark of a move, without changing it."""
    try:
        probe = standard_sqlite.connect(f"file:{path}?mode=ro", uri=True)
        try:
            (application,) = probe.execute("PRAGMA application_id").fetchone()
            (found,) = probe.execute("PRAGMA user_version").fetchone()
            is_known = application == wanted.application_id and 0 < found <= wanted.migrations.latest
            marked = probe.execute(MARKED).fetchone() if is_known else None
        finally:
            probe.close()
    except standard_sqlite.Error as error:
        raise store_error(error, str(path)) from error
    return application, found, None if marked is None else str(marked[0])


def require_no_leftovers(path: Path) -> None:
    """Refuse to create a mirror beside what an earlier one left: SQLite would replay its journal into it.

    Its inbox has pushes that were answered, under privacy rules that the new mirror does not know. Raises
    StorageUnwritable, and changes nothing.
    """
    require_no_journal(path)
    inbox = inbox_path(path)
    if inbox.exists():
        raise StorageUnwritable(
            f"{path} is missing, but {inbox.name} of an earlier mirror is there",
            f"put {path.name} back, or remove {inbox}, {inbox}-wal and {inbox}-shm to load the mirror again",
        )


def require_no_journal(path: Path) -> None:
    """Refuse to create a file beside the journal of an earlier one. Raises StorageUnwritable."""
    left = [Path(f"{path}{suffix}") for suffix in ("-wal", "-journal")]
    if any(file.exists() and file.stat().st_size for file in left):
        raise StorageUnwritable(
            f"{path} is missing, but {path.name}-wal or {path.name}-journal of an earlier mirror is there:"
            " SQLite would replay it into a new one",
            f"put {path.name} back, or remove {path}-wal, {path}-shm and {path}-journal to start again",
        )


async def create(path: Path, wanted: Format, first: tuple[str, Sequence[Any]] | None = None) -> None:
    """Create a new file under a temporary name and rename it when complete; `first` is a statement to run.

    So a kill in between never leaves a partial one at `path`. Its mode 0600 applies to -wal and -shm too.
    Raises StoreError.
    """
    unfinished = path.with_name(f".{path.name}.new")
    try:
        for leftover in path.parent.glob(f"{unfinished.name}*"):
            leftover.unlink()
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = await connect(unfinished, wanted)
        try:
            if first is not None:
                await connection.execute(*first)
            # here, as closing a connection copies the WAL too, but says nothing if that fails
            await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await connection.close()
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    except Error as error:
        raise store_error(error, str(unfinished)) from error
    except OSError as error:
        raise StorageUnwritable(f"cannot create {path}: {error.strerror}", "check the directory") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
