"""The SQLite library used by the store: the one bundled with pysqlite3, through aiosqlite.

SQLite before 3.51.3 can lose commits when two connections commit and checkpoint at the same time (the
WAL-reset bug, https://www.sqlite.org/wal.html#walresetbug), and the standard library's may be older.
aiosqlite uses whatever `import sqlite3` returns, so it is imported while that is pysqlite3.
"""

from __future__ import annotations

import sys

import msgspec
import pysqlite3

from rtsd.errors import (
    CorruptDatabase,
    RtsError,
    StorageFailed,
    StorageFull,
    StorageUnwritable,
    StoreError,
)

_standard = sys.modules.get("sqlite3")
sys.modules["sqlite3"] = pysqlite3
try:
    import aiosqlite
finally:
    if _standard is not None:
        sys.modules["sqlite3"] = _standard
    else:
        del sys.modules["sqlite3"]

__all__ = [
    "Error",
    "IntegrityError",
    "aiosqlite",
    "pysqlite3",
    "require_sound",
    "store_error",
    "version",
]

pysqlite3.register_adapter(list, lambda values: msgspec.json.encode(values).decode())
"""A list is passed as JSON, which json_each reads."""

Error = pysqlite3.Error
"""The base class of SQLite's errors."""
IntegrityError = pysqlite3.IntegrityError
"""A constraint refused a row."""


SOUND = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""The first version without the WAL-reset bug, and the first fixed versions of two older branches."""


def require_sound(found: tuple[int, ...] = pysqlite3.sqlite_version_info) -> None:
    """Require a version without the WAL-reset bug. Raises StoreError."""
    if not (found >= SOUND[0] or any(found[:2] == branch[:2] and found >= branch for branch in SOUND[1:])):
        raise StoreError(
            f"SQLite {'.'.join(map(str, found))} can lose commits (its WAL-reset bug)",
            "install pysqlite3 0.6.1 or later, which bundles a fixed version",
        )


def version() -> str:
    """The SQLite version in use, such as `3.53.4`."""
    return str(pysqlite3.sqlite_version)


def store_error(error: Exception, path: str) -> RtsError:
    """Translate an error of SQLite into one that says whose fault it is and what to do."""
    text = str(error).lower()
    if "full" in text:
        return StorageFull(f"no space left for {path}: {error}", "free some space; rtsd continues by itself")
    if "i/o error" in text:
        return StorageFailed(f"the disk failed under {path}: {error}", "check the disk; rtsd restarts itself")
    if "readonly" in text or "unable to open" in text:
        return StorageUnwritable(f"cannot write {path}: {error}", "check the directory's owner and mode")
    if "not a database" in text or "malformed" in text:
        return CorruptDatabase(
            f"{path} is damaged: {error}",
            "nothing was changed; restore a backup, or move the file away to load again",
        )
    return StoreError(f"{path}: {error}")
