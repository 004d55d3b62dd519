"""Monitoring of the storage after a failed write."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from rtsd.errors import StorageFailed, StoreError
from rtsd.store.database import Database

PROBE_S = 0.5


async def watch(database: Database) -> None:
    """Probe the storage periodically after a failure, so that health recovers without a push.

    Raises StorageFailed after an I/O error: the kernel then guarantees nothing, so rtsd stops, and a restart
    recovers from the WAL (as PostgreSQL does: data_sync_retry).
    """
    while True:
        if database.failure is not None:
            if "i/o error" in database.failure.lower():
                raise StorageFailed(f"the disk failed: {database.failure}", "check the disk")
            with suppress(StoreError):
                await database.probe()
        await asyncio.sleep(PROBE_S)
