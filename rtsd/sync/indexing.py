"""Indexes of a loaded table, which follow when others let go of it."""

from __future__ import annotations

import structlog

from rtsd.core.instant import Millis
from rtsd.errors import TableLocked
from rtsd.store.database import Database
from rtsd.sync.mirrored_object import LOCKED_PAUSE_MS, MirroredObject

log = structlog.get_logger("rtsd.audit")


async def build_indexes(database: Database, mirrored: MirroredObject, now: Millis) -> None:
    """Build the indexes that are missing, unless others used the table a moment ago. Raises StoreError."""
    attempts = mirrored.retry.alterations
    if not mirrored.unindexed or now < attempts.not_before:
        return
    try:
        await database.build_indexes(mirrored.described)
    except TableLocked as error:
        attempts.failed(now, LOCKED_PAUSE_MS)
        log.warning("no index yet", object=mirrored.name, message=str(error))
    else:
        attempts.succeeded()
        mirrored.unindexed = False
