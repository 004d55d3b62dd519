"""Refused pushes: all are counted; of each kind, one a minute is reported."""

from __future__ import annotations

from collections.abc import Callable

from rtsd.core.instant import Millis
from rtsd.errors import PushError
from rtsd.sync.engine import Engine
from rtsd.sync.silence import PushSeen

REPORT_MS: Millis = 60_000


class Rejections:
    """Tells the engine of refusals, at a pace that does not depend on who pushes."""

    def __init__(self, engine: Engine, push: PushSeen, now: Callable[[], Millis]) -> None:
        self._engine = engine
        self._push = push
        self._now = now
        self._reported: dict[str, Millis] = {}

    async def count(self, error: PushError) -> None:
        """Count one; raises StoreError when it cannot be written down."""
        self._push.rejected += 1
        now = self._now()
        if now - self._reported.get(error.code, 0) >= REPORT_MS and error.code != "CannotCommit":
            self._reported[error.code] = now
            await self._engine.report(error)
