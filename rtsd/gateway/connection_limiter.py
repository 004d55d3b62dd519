"""The limit on connections that have not sent a correctly signed push yet.

Connections with a correctly signed push stay open. Of the others, only a limited number may wait, and the
oldest are dropped: a genuine sender needs milliseconds. A limit per address would hit those who share a proxy
with an attacker, and spare an attacker with many addresses.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable

from rtsd.gateway.meters import Meters

MAX_WAITING = 512
GRACE_S = 2.0
"""No connection is dropped earlier while descriptors last: many genuine ones may arrive at once."""
RESERVED_DESCRIPTORS = 128
"""Descriptors left for the database, the control socket and the calls to Salesforce."""


class ConnectionLimiter:
    """Tracks the unproven connections in order of arrival, and the total number of connections."""

    def __init__(self, meters: Meters, descriptors: int | None = None) -> None:
        limit = descriptors or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._max_open = max(limit - min(RESERVED_DESCRIPTORS, limit // 2), 8)
        self._max_waiting = min(MAX_WAITING, self._max_open // 2)
        self._waiting: dict[object, tuple[Callable[[], object], float]] = {}
        self._open = 0
        self._left = asyncio.Event()
        self._meters = meters

    def enter(self, connection: object, close: Callable[[], object]) -> None:
        """Add a connection; `close` drops it, possibly before this returns."""
        self._open += 1
        now = asyncio.get_running_loop().time()
        self._waiting[connection] = (close, now)
        while self._open > self._max_open and self.drop_oldest("crowded"):
            pass
        while len(self._waiting) > self._max_waiting and self._oldest_since() < now - GRACE_S:
            self.drop_oldest("crowded")
        self._update_metrics()

    def drop_oldest(self, reason: str) -> bool:
        """Drop the connection that has waited longest; False if none waits."""
        for connection in self._waiting:
            self.drop(connection, reason)
            return True
        return False

    def drop(self, connection: object, reason: str) -> None:
        """Drop a waiting connection and count the reason."""
        waiting = self._waiting.pop(connection, None)
        if waiting is not None:
            self._meters.dropped.labels(reason).inc()
            waiting[0]()

    def renew(self, connection: object) -> None:
        """Let a connection wait as if it had entered now."""
        close, _ = self._waiting.pop(connection)
        self._waiting[connection] = (close, asyncio.get_running_loop().time())

    def _oldest_since(self) -> float:
        return next(iter(self._waiting.values()))[1]

    def prove(self, connection: object) -> None:
        """Exempt a connection from being dropped."""
        self._waiting.pop(connection, None)
        self._update_metrics()

    def exit(self, connection: object) -> None:
        """Remove a closed connection."""
        self._open -= 1
        self._waiting.pop(connection, None)
        self._update_metrics()

    async def empty(self) -> None:
        """Return once no connection waits."""
        while self._waiting:
            self._left.clear()
            await self._left.wait()

    def _update_metrics(self) -> None:
        self._meters.connections.set(self._open)
        self._meters.pending.set(len(self._waiting))
        self._left.set()
