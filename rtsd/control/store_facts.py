"""What status says of the place of the mirror: the engine, the place, the size, and whose mirror it is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from rtsd.control import protocol
from rtsd.core.instant import Millis
from rtsd.store.database import Database
from rtsd.store.engine import Engine

MEASURE_EVERY_MS: Millis = 10_000
"""A large database needs milliseconds to tell its size, and a screen asks every second."""


class StoreFacts:
    """The facts about an open mirror."""

    def __init__(self, engine: Engine, database: Database, key: bytes, now: Callable[[], Millis]) -> None:
        """`key` is the mirror's own secret: the id is made of it, and tells nothing about it."""
        self._engine = engine
        self._database = database
        self._id = hmac.new(key, b"rts.mirror.v1", hashlib.sha256).hexdigest()[:16]
        self._now = now
        self._bytes = 0
        self._measured_at: Millis | None = None

    async def get(self) -> protocol.Store:
        """Return them as of now, the size as of the last seconds. Raises StoreError."""
        now = self._now()
        if self._measured_at is None or not 0 <= now - self._measured_at < MEASURE_EVERY_MS:
            self._bytes = await self._engine.size(self._database)
            self._measured_at = now
        return protocol.Store(
            engine=self._engine.kind, place=self._engine.name, bytes=self._bytes, id=self._id
        )
