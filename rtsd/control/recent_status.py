"""A status that is new enough for a screen, made once for all who follow the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rtsd.control import protocol

RECENT_S = 1.0
"""Age up to which a status is new enough for a screen."""


class RecentStatus:
    """Makes a status when the last one is too old."""

    def __init__(self, status: Callable[[], Awaitable[protocol.Status]]) -> None:
        self._status = status
        self._recent: protocol.Status | None = None
        self._recent_at = 0.0
        self._turn = asyncio.Lock()

    async def get(self, *, max_age_s: float = RECENT_S) -> protocol.Status:
        """Return a status at most so old, the same to all followers; it never goes back in time."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if self._recent is None or now - self._recent_at >= max_age_s:
                self._recent, self._recent_at = await self._status(), now
            return self._recent
