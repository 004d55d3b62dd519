"""SQLite as the engine of a mirror."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import cast

from rtsd.core.layout import Layout
from rtsd.errors import StorageUnwritable
from rtsd.store import views
from rtsd.store.database import Database
from rtsd.store.engine import Engine, Progress
from rtsd.store.moving.sides import Begin, Source, Target
from rtsd.store.sqlite import backup, files, inbox_file, moving
from rtsd.store.sqlite.database import Reader, SqliteDatabase, peek
from rtsd.store.sqlite.inbox_file import InboxFile
from rtsd.store.sqlite.query import Queries

DISK_FREE = "disk_free"


class SqliteEngine(Engine):
    """The mirror in the file at `path`."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    async def size(self, database: Database) -> int:  # noqa: ARG002 (of the files)
        """The sum of the files."""
        return int(sum(size for name, _, size in self.sizes() if name != DISK_FREE))

    async def exists(self) -> bool:
        """Whether the file is there. Raises StorageUnwritable beside leftovers of another one."""
        if self.path.exists():
            return True
        files.require_no_leftovers(self.path)
        return False

    async def check(self, layouts: Mapping[Layout, str], names: Sequence[str]) -> None:
        """Require a directory to write to, and nothing foreign in place of views."""
        directory = self.path.parent
        if not os.access(directory, os.W_OK | os.X_OK):
            what = "is not writable" if directory.is_dir() else "does not exist"
            raise StorageUnwritable(
                f"{directory}, the directory of [store] path, {what}.",
                "Create it, owned by the user that runs rtsd.",
            )
        async with self.peek() as reader:
            if reader is not None:
                await views.require_free(reader, layouts, names)

    async def open(self) -> SqliteDatabase:
        """Open or create the file."""
        backup.remove_leftovers(self.path)
        return await SqliteDatabase.open(self.path)

    async def open_inbox(self, mirror: Database) -> InboxFile:
        """Open or create the file beside it."""
        return await inbox_file.open_beside(cast("SqliteDatabase", mirror))

    def peek(self) -> AbstractAsyncContextManager[Reader | None]:
        """Read the file; None if there is none."""
        return peek(self.path)

    def answers(self) -> Queries:
        """Return what runs queries, each in its own process."""
        return Queries(self.path)

    async def copy(self, progress: Progress) -> Path:
        """Copy both files into one beside them."""
        return await backup.copy(self.path, progress)

    def as_source(self) -> AbstractAsyncContextManager[Source]:
        """Read both files."""
        return moving.source(self.path)

    def as_target(self, origin: str, begin: Begin = Begin.REFUSE) -> AbstractAsyncContextManager[Target]:
        """Create both files, or open them again."""
        return moving.target(self.path, origin, begin)

    @property
    def key_file(self) -> Path:
        """The file beside the mirror."""
        return self.path.with_name(self.path.name + ".key")

    def sizes(self) -> Iterator[tuple[str, str, float]]:
        """Yield the sizes of the files, and the free space beside them."""
        inbox = files.inbox_path(self.path)
        for name, file in (
            ("database", self.path),
            ("wal", files.wal_path(self.path)),
            ("inbox", inbox),
            ("inbox_wal", files.wal_path(inbox)),
        ):
            with suppress(OSError):
                yield name, f"Size of the {name} file.", file.stat().st_size
        with suppress(OSError):
            disk = os.statvfs(self.path.parent)
            yield DISK_FREE, "Free space for the mirror.", disk.f_bavail * disk.f_frsize
