"""Monitoring of the storage after a failed write."""

from __future__ import annotations

from contextlib import suppress

from rtsd.errors import StorageFailed, StoreError
from rtsd.services import Service
from rtsd.store.database import Database

PROBE_EVERY_S = 0.5


class StorageWatch(Service):
    """Probes a file after a failed write, so that health recovers without a push."""

    name = "storage"

    def __init__(self, *files: Database) -> None:
        super().__init__()
        self._files = files

    async def step(self) -> float:
        """Probe the storage if a write has failed.

        Raises StorageFailed after an I/O error: the kernel then guarantees nothing, so rtsd stops, and a
        restart recovers from the WAL (as PostgreSQL does: data_sync_retry).
        """
        for file in self._files:
            if file.failure is None:
                continue
            if "i/o error" in file.failure.lower():
                raise StorageFailed(f"the disk failed: {file.failure}", "check the disk")
            with suppress(StoreError):
                await file.probe()
        return PROBE_EVERY_S
