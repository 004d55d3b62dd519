"""What is kept for how long: journal, error log, and the ids of pushes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from rtsd.core.instant import DAY_MS, Millis
from rtsd.store import inbox, retention
from rtsd.store.database import Database
from rtsd.sync.engine import Engine

PUSH_IDS_KEPT_MS: Millis = 7 * DAY_MS
"""The package gives a push up within hours; its id is known for much longer."""
PAUSE_S = 600.0
BREATH_S = 0.05
"""Between two steps, for whoever wants to write."""

log = structlog.get_logger("rtsd.retention")


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is kept (contract section 2, `[store]`); 0 is without a limit."""

    journal_ms: Millis
    journal_bytes: int


class Retention:
    """Forgets in small steps."""

    def __init__(self, engine: Engine, keep: Keep) -> None:
        self._engine = engine
        self._keep = keep

    async def run(self) -> None:
        """Forget what is due, forever."""
        while True:
            gone = await self.step()
            if not gone:
                await self.forget_pushes()
            await asyncio.sleep(BREATH_S if gone else PAUSE_S)

    async def forget_pushes(self) -> None:
        """Forget the ids of pushes of which no retry can be on its way."""
        async with self._engine.database.transaction() as tx:
            await inbox.purge(tx, self._engine.now() - PUSH_IDS_KEPT_MS)

    async def step(self) -> int:
        """Forget a little of the journal and the error log; return how many rows went."""
        database, now = self._engine.database, self._engine.now()
        gone = 0
        if self._keep.journal_ms:
            gone += await retention.forget_journal(database, now - self._keep.journal_ms)
            gone += await retention.forget_errors(database, now - self._keep.journal_ms)
        gone += await self._forget_surplus(database)
        if gone:
            log.info("forgotten", rows=gone)
        return gone

    async def _forget_surplus(self, database: Database) -> int:
        """The journal is too large: its oldest entries go."""
        entries, size = await retention.journal_size(database)
        if not self._keep.journal_bytes or size <= self._keep.journal_bytes:
            return 0
        surplus = entries - entries * self._keep.journal_bytes // size
        return await retention.forget_oldest(database, surplus)
