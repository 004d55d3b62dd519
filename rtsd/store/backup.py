"""Backups: a copy of the database as of one moment, made while it is written to, and a check of such a copy.

The copy is made page by page from one read transaction on a connection of its own: writers go on, and what
they commit meanwhile is not in it. Until it is done the WAL cannot be reset, so it grows by what is written.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rtsd.errors import CorruptDatabase, StorageFull
from rtsd.store import migrate
from rtsd.store.database import APPLICATION_ID, Database
from rtsd.store.sqlite import Error, aiosqlite, pysqlite3, store_error

PAGES_A_STEP = 1_024
"""4 MiB: short enough to be stopped between two steps."""
_SIZE = "SELECT page_count, page_count * page_size FROM pragma_page_count, pragma_page_size"
SPARE = 16 << 20
"""Bytes that a backup leaves free: the next push needs them more."""


@dataclass
class Progress:
    """How far a copy is, in pages; setting `stop` ends it."""

    copied: int = 0
    pages: int = 0
    stop: bool = False


class Stopped(Exception):
    """Ends a copy between two steps."""


async def copy(database: Database, progress: Progress) -> Path:
    """Copy the database into a file beside it, 0600, which the caller removes; return its path.

    It has every commit that was over when this was called. Raises StorageFull before it takes the space
    that pushes need, Stopped after `progress.stop`, and the StoreError that SQLite's refusal means.
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

    # It is used by one thread at a time, but not by the one that opened it.
    with closing(pysqlite3.connect(target, check_same_thread=False, isolation_level=None)) as copied:
        copied.execute("PRAGMA journal_mode=OFF")  # a kill leaves half a copy, which nobody will use
        copied.execute("PRAGMA synchronous=OFF")  # whoever keeps the copy syncs it
        await source.backup(copied, pages=PAGES_A_STEP, progress=step, sleep=0)
        copied.execute("PRAGMA journal_mode=DELETE")  # one file that opens anywhere, without a WAL beside it


def sweep(path: Path) -> None:
    """Remove what a kill left behind of copies of the database at `path`."""
    for left in path.parent.glob(f".{path.name}.backup-*"):
        left.unlink(missing_ok=True)


def check(path: Path) -> None:
    """Check a finished copy: that it is rtsd's and whole. Raises CorruptDatabase."""
    try:
        with closing(pysqlite3.connect(f"file:{path}?mode=ro", uri=True)) as found:
            (application,) = found.execute("PRAGMA application_id").fetchone()
            (version,) = found.execute("PRAGMA user_version").fetchone()
            faults = [fault for (fault,) in found.execute("PRAGMA integrity_check(3)") if fault != "ok"]
    except Error as error:
        raise store_error(error, str(path)) from error
    if application != APPLICATION_ID or not 0 < version <= migrate.LATEST:
        raise CorruptDatabase(f"{path} is not a mirror of this rtsd", "make the backup again")
    if faults:
        raise CorruptDatabase(
            f"{path} is damaged: {'; '.join(faults)}",
            "`rtsd verify` says whether the mirror is, too; keep the backups you have",
        )


def _require_space(directory: Path, size: int) -> None:
    found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    if free < size + SPARE:
        raise StorageFull(
            f"a backup takes {size >> 20} MiB in {directory} while it is made, and {free >> 20} MiB are free",
            "free some space; nothing was copied",
        )
