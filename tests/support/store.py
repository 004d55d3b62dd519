"""A mirror with its inbox, as the daemon opens them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rtsd.store.inbox import Inbox
from rtsd.store.sqlite.database import SqliteDatabase
from rtsd.store.sqlite.engine import SqliteEngine


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[tuple[SqliteDatabase, Inbox]]:
    """Open both files of the mirror at `path`."""
    engine = SqliteEngine(path)
    async with await engine.open() as database:
        box = await restored(database)
        async with box.file:
            yield database, box


async def restored(database: SqliteDatabase) -> Inbox:
    """The inbox of an open mirror, as the next run finds it; its file is to be closed."""
    box = await SqliteEngine(database.path).open_inbox(database)
    await box.restore()
    return box
