"""Online backups: a consistent copy of the database while it is in use, and the check of a copy.

The copy runs page by page in a read transaction on a separate connection. Writers continue; their commits are
not in the copy. Meanwhile the WAL cannot be reset and grows with every write.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rtsd.errors import CorruptDatabase, StorageFull
from rtsd.store import migrations
from rtsd.store.database import APPLICATION_ID, Database
from rtsd.store.sqlite import Error, aiosqlite, pysqlite3, store_error

PAGES_PER_STEP = 1_024
"""4 MiB, short enough to stop between two steps."""
_SIZE = "SELECT page_count, page_count * page_size FROM pragma_page_count, pragma_page_size"
SPARE = 16 << 20
"""Free bytes that a backup must leave for pushes."""


@dataclass
class Progress:
    """The progress of a copy, in pages; set `stop` to end it."""

    copied: int = 0
    pages: int = 0
    stop: bool = False


class Stopped(Exception):
    """The copy ended at the request of `Progress.stop`."""


async def copy(database: Database, progress: Progress) -> Path:
    """Copy the database into a file in its directory (mode 0600); the caller removes it. Return its path.

    The copy contains every commit made before the call. Raises StorageFull if too little space would be left,
    Stopped after `progress.stop`, and StoreError for SQLite's errors.
    """
    target: Path | None = None
    try:
        source = await aiosqlite.connect(f"file:{database.path}?mode=ro", uri=True, isolation_level=None)
        try:
            await source.execute("BEGIN")
            ((progress.pages, size),) = await source.execute_fetchall(_SIZE)
            _require_space(database.path.parent, size)
            target = _new_file(database.path)
            await _copy_pages(source, target, progress)
        finally:
            await source.close()
    except BaseException as error:
        if target is not None:
            target.unlink(missing_ok=True)
        if isinstance(error, Error):
            raise store_error(error, str(target or database.path)) from error
        raise
    return target


def _new_file(path: Path) -> Path:
    """An empty file beside the database at `path`, 0600, under a name that nothing else has."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.backup-", dir=path.parent)
    os.close(descriptor)
    return Path(name)


async def _copy_pages(source: aiosqlite.Connection, target: Path, progress: Progress) -> None:
    def step(_status: int, remaining: int, total: int) -> None:
        progress.copied, progress.pages = total - remaining, total
        if progress.stop:
            raise Stopped

    # used by one thread at a time, but not by the thread that opened it
    with closing(pysqlite3.connect(target, check_same_thread=False, isolation_level=None)) as copied:
        copied.execute("PRAGMA journal_mode=OFF")  # a kill leaves a partial copy, which is never used
        copied.execute("PRAGMA synchronous=OFF")  # the recipient syncs the copy
        await source.backup(copied, pages=PAGES_PER_STEP, progress=step, sleep=0)
        copied.execute("PRAGMA journal_mode=DELETE")  # a single file, without a WAL


def remove_leftovers(path: Path) -> None:
    """Remove the partial copies of the database at `path` that a kill left behind."""
    for leftover in path.parent.glob(f".{path.name}.backup-*"):
        leftover.unlink(missing_ok=True)


def check(path: Path) -> None:
    """Check that a copy is an intact mirror of this version of rtsd. Raises CorruptDatabase."""
    try:
        with closing(pysqlite3.connect(f"file:{path}?mode=ro", uri=True)) as found:
            (application,) = found.execute("PRAGMA application_id").fetchone()
            (version,) = found.execute("PRAGMA user_version").fetchone()
            faults = [fault for (fault,) in found.execute("PRAGMA integrity_check(3)") if fault != "ok"]
    except Error as error:
        raise store_error(error, str(path)) from error
    if application != APPLICATION_ID or not 0 < version <= migrations.LATEST:
        raise CorruptDatabase(f"{path} is not a mirror of this rtsd", "repeat the backup")
    if faults:
        raise CorruptDatabase(
            f"{path} is damaged: {'; '.join(faults)}",
            "check the mirror with `rtsd verify`; keep your earlier backups",
        )


def _require_space(directory: Path, size: int) -> None:
    found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    if free < size + SPARE:
        raise StorageFull(
            f"a backup temporarily needs {size >> 20} MiB in {directory}, which has {free >> 20} MiB free",
            "free some space; nothing was copied",
        )
