"""Retention: journal, error log and the ids of pushes are kept for as long as configured, then forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from rtsd.core.instant import DAY_MS, Millis
from rtsd.services import Service
from rtsd.store import retention
from rtsd.store.database import Database

PUSH_IDS_KEPT_MS: Millis = 7 * DAY_MS
"""The package gives a push up within hours; its id is known for much longer."""
PAUSE_S = 600.0
"""Seconds between rounds that find nothing to forget."""
BREATH_S = 0.05
"""Seconds between two steps of a round, for whoever wants to write."""

log = structlog.get_logger("rtsd.retention")


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is kept (contract section 2, `[store]`); 0 is without a limit."""

    journal_ms: Millis
    journal_bytes: int


class Retention(Service):
    """Forgets a little per step, so that pushes never wait for it."""

    name = "retention"

    def __init__(self, database: Database, now: Callable[[], Millis], keep: Keep) -> None:
        super().__init__()
        self._database = database
        self._now = now
        self._keep = keep
        self._forgotten = 0
        """Rows forgotten in this round."""

    async def step(self) -> float:
        """Forget a little; a round ends when nothing is left to forget."""
        gone = await self.forget()
        self._forgotten += gone
        if gone:
            return BREATH_S
        if self._forgotten:
            log.info("forgotten", rows=self._forgotten)
        self._forgotten = 0
        return PAUSE_S

    async def forget(self) -> int:
        """Forget a little of everything that is due; return how many rows went."""
        database, now = self._database, self._now()
        gone = await retention.forget_push_ids(database, now - PUSH_IDS_KEPT_MS)
        if self._keep.journal_ms:
            gone += await retention.forget_journal(database, now - self._keep.journal_ms)
            gone += await retention.forget_errors(database, now - self._keep.journal_ms)
        if self._keep.journal_bytes:
            gone += await self._forget_surplus()
        return gone

    async def _forget_surplus(self) -> int:
        """Forget the oldest entries of a journal that is too large."""
        entries, size = await retention.journal_size(self._database)
        if size <= self._keep.journal_bytes:
            return 0
        surplus = entries - entries * self._keep.journal_bytes // size
        return await retention.forget_oldest(self._database, surplus)
