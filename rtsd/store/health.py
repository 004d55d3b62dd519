"""Whether the disk can be written, watched while it cannot."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from rtsd.errors import StorageFailed, StoreError
from rtsd.store.database import Database

LOOK_S = 0.5


async def watch(database: Database) -> None:
    """Try again and again whether what failed works, so that health recovers without a push.

    Raises StorageFailed after an I/O error: then the kernel promises nothing, so rtsd stops and lets a
    restart recover from the WAL (PostgreSQL does the same: data_sync_retry).
    """
    while True:
        if database.failure is not None:
            if "i/o error" in database.failure.lower():
                raise StorageFailed(f"the disk failed: {database.failure}", "check the disk")
            with suppress(StoreError):
                await database.probe()
        await asyncio.sleep(LOOK_S)
