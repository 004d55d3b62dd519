"""A mirror with its inbox, as the daemon opens them, on the engine of this run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rtsd.store.database import Database
from rtsd.store.inbox import Inbox
from tests.support.mirror import mirror_at


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[tuple[Database, Inbox]]:
    """Open the mirror whose file, on SQLite, is at `path`, and its inbox."""
    async with await mirror_at(path).engine().open() as database:
        box = await restored(database, path)
        async with box.file:
            yield database, box


async def restored(database: Database, path: Path) -> Inbox:
    """The inbox of an open mirror, as the next run finds it; its file is to be closed."""
    box = await mirror_at(path).engine().open_inbox(database)
    await box.restore()
    return box
