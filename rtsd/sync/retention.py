"""Retention: deletes old journal entries, logged errors and push ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from rtsd.core.instant import DAY_MS, Millis
from rtsd.services import Service
from rtsd.store import retention
from rtsd.store.database import Database
from rtsd.store.inbox import Inbox

PUSH_ID_RETENTION_MS: Millis = 7 * DAY_MS
"""Much longer than the package retries a push, which is hours."""
PAUSE_S = 600.0
"""Seconds between rounds."""
STEP_PAUSE_S = 0.05
"""Seconds between two steps of a round, to let other writers proceed."""

log = structlog.get_logger("rtsd.retention")


@dataclass(frozen=True, slots=True)
class Keep:
    """The limits of age (ms) and size (bytes) of the journal (contract section 2, `[store]`); 0: no limit."""

    journal_ms: Millis
    journal_bytes: int


class Retention(Service):
    """Deletes a few rows per step, so that pushes never wait for it."""

    name = "retention"

    def __init__(self, database: Database, inbox: Inbox, now: Callable[[], Millis], keep: Keep) -> None:
        super().__init__()
        self._database = database
        self._inbox = inbox
        self._now = now
        self._keep = keep
        self._deleted = 0
        """Rows deleted in this round."""

    async def step(self) -> float:
        """Delete some rows; a round ends when none are left to delete."""
        deleted = await self.prune()
        self._deleted += deleted
        if deleted:
            return STEP_PAUSE_S
        if self._deleted:
            log.info("retention", deleted=self._deleted)
        self._deleted = 0
        return PAUSE_S

    async def prune(self) -> int:
        """Delete some of the rows that are due; return their number."""
        database, now = self._database, self._now()
        deleted = await retention.forget_push_ids(self._inbox, now - PUSH_ID_RETENTION_MS)
        if self._keep.journal_ms:
            deleted += await retention.forget_journal(database, now - self._keep.journal_ms)
            deleted += await retention.forget_errors(database, now - self._keep.journal_ms)
        if self._keep.journal_bytes:
            deleted += await self._prune_surplus()
        return deleted

    async def _prune_surplus(self) -> int:
        """Delete the oldest entries of a journal that is too large; return their number."""
        entries, size = await retention.journal_size(self._database)
        if size <= self._keep.journal_bytes:
            return 0
        surplus = entries - entries * self._keep.journal_bytes // size
        return await retention.forget_oldest(self._database, surplus)
