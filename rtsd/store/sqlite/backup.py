"""Online backups: a consistent copy of the database while it is in use, and the check of a copy.

The copy runs page by page in read transactions on separate connections. Writers continue; their commits are
not in the copy. Meanwhile the WALs cannot be reset and grow with every write. A copy is one file: the pushes
that wait in the inbox, and the ids of all pushes, are put into the copy of the mirror.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from rtsd.errors import CorruptDatabase, StorageFull
from rtsd.store import meta
from rtsd.store.engine import Progress, Stopped
from rtsd.store.sqlite import files, inbox_file
from rtsd.store.sqlite.library import Error, aiosqlite, pysqlite3, store_error

PAGES_PER_STEP = 1_024
"""4 MiB, short enough to stop between two steps."""
PUSHES_PER_STEP, IDS_PER_STEP = 20, 10_000
_SIZE = "SELECT page_count, page_count * page_size FROM pragma_page_count, pragma_page_size"
SPARE = 16 << 20
"""Free bytes that a backup must leave for pushes."""


async def copy(path: Path, progress: Progress) -> Path:
    """Copy the mirror at `path` into a file beside it (mode 0600); the caller removes it. Return its path.

    The copy contains every commit made before the call. Raises StorageFull if too little space would be left,
    Stopped after `progress.stop`, and StoreError for SQLite's errors.
    """
    target: Path | None = None
    inbox_path = files.inbox_path(path)
    try:
        # the inbox first: what is applied until the mirror's turn is in both, and what comes later in neither
        async with _snapshot(inbox_path) as inbox, _snapshot(path) as mirror:
            ((progress.pages, size),) = await mirror.execute_fetchall(_SIZE)
            ((_, more),) = await inbox.execute_fetchall(_SIZE)
            _require_space(path.parent, size + more)
            target = _new_file(path)
            await _copy_pages(mirror, target, progress)
            await _add_inbox(inbox, target, progress)
    except BaseException as error:
        if target is not None:
            target.unlink(missing_ok=True)
        if isinstance(error, Error):
            raise store_error(error, str(target or path)) from error
        raise
    return target


@asynccontextmanager
async def _snapshot(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """Connect to a file, as it is now."""
    async with aiosqlite.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None) as connection:
        await connection.execute("BEGIN")
        await connection.execute_fetchall("SELECT 1 FROM _rts_meta LIMIT 1")  # BEGIN alone reads nothing
        yield connection


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


async def _add_inbox(inbox: aiosqlite.Connection, target: Path, progress: Progress) -> None:
    """Add the pushes that wait, and the ids of all, to a copy of the mirror; it is one file afterwards."""
    async with aiosqlite.connect(target, isolation_level=None) as copied:
        await copied.execute("PRAGMA journal_mode=OFF")
        await copied.execute("PRAGMA synchronous=OFF")
        await copied.execute("BEGIN")
        ((applied,),) = await copied.execute_fetchall(inbox_file.SELECT_APPLIED)
        waiting = f"SELECT webhook_id, received_at, body FROM _rts_inbox WHERE seq > {applied} ORDER BY seq"
        async with inbox.execute(waiting) as rows:
            put = "INSERT INTO _rts_held (webhook_id, received_at, body) VALUES (?, ?, ?)"
            await _add(rows, PUSHES_PER_STEP, copied, put, progress)
        async with inbox.execute("SELECT webhook_id, received_at FROM _rts_push_id ORDER BY rowid") as rows:
            put = "INSERT INTO _rts_push_id (webhook_id, received_at) VALUES (?, ?)"
            await _add(rows, IDS_PER_STEP, copied, put, progress)
        ((last,),) = await inbox.execute_fetchall("SELECT COALESCE(MAX(seq), 0) FROM _rts_inbox")
        await copied.execute(meta.PUT, (inbox_file.APPLIED, str(max(last, applied))))
        await copied.execute("COMMIT")
        await copied.execute("PRAGMA journal_mode=DELETE")  # a single file, without a WAL


async def _add(
    rows: aiosqlite.Cursor, per_step: int, target: aiosqlite.Connection, insert: str, progress: Progress
) -> None:
    while step := await rows.fetchmany(per_step):
        await target.executemany(insert, step)
        if progress.stop:
            raise Stopped


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
    known = 0 < version <= files.MIRROR.migrations.latest
    if application != files.MIRROR.application_id or not known:
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
