"""Connections that have not proven yet that they are worth waiting for.

Whoever signs a push rightly is let stay. Of the others only so many may wait, and it is the oldest that has
to go: an honest sender is done in milliseconds, wherever it connects from, so a limit per address would hit
those who share a proxy with an attacker and spare the attacker who has many addresses.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable

from rtsd.gateway.meters import Meters

MOST_WAITING = 512
GRACE_S = 2.0
"""Nobody is thrown out sooner, as long as there are descriptors: many honest ones may come at once."""
RESERVED_DESCRIPTORS = 128
"""Left for the database, the control socket and the calls to Salesforce."""


class ConnectionLimiter:
    """The unproven connections in the order of their coming, and how many connections there are in all."""

    def __init__(self, meters: Meters, descriptors: int | None = None) -> None:
        limit = descriptors or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most_open = max(limit - min(RESERVED_DESCRIPTORS, limit // 2), 8)
        self._most_waiting = min(MOST_WAITING, self._most_open // 2)
        self._waiting: dict[object, tuple[Callable[[], object], float]] = {}
        self._open = 0
        self._left = asyncio.Event()
        self._meters = meters

    def enter(self, who: object, leave: Callable[[], object]) -> None:
        """Let a connection in; `leave` throws it out again. It may be thrown out before this returns."""
        self._open += 1
        now = asyncio.get_running_loop().time()
        self._waiting[who] = (leave, now)
        while self._open > self._most_open and self.drop_oldest("crowded"):
            pass
        while len(self._waiting) > self._most_waiting and self._oldest_since() < now - GRACE_S:
            self.drop_oldest("crowded")
        self._show()

    def drop_oldest(self, reason: str) -> bool:
        """Throw out who has waited longest; False when nobody waits."""
        for who in self._waiting:
            self.drop(who, reason)
            return True
        return False

    def drop(self, who: object, reason: str) -> None:
        """Throw one out that waits, and count why."""
        waiting = self._waiting.pop(who, None)
        if waiting is not None:
            self._meters.dropped.labels(reason).inc()
            waiting[0]()

    def _oldest_since(self) -> float:
        return next(iter(self._waiting.values()))[1]

    def prove(self, who: object) -> None:
        """Let one stay for as long as it likes."""
        self._waiting.pop(who, None)
        self._show()

    def exit(self, who: object) -> None:
        """One has left."""
        self._open -= 1
        self._waiting.pop(who, None)
        self._show()

    async def empty(self) -> None:
        """Return once nobody waits any more."""
        while self._waiting:
            self._left.clear()
            await self._left.wait()

    def _show(self) -> None:
        self._meters.connections.set(self._open)
        self._meters.pending.set(len(self._waiting))
        self._left.set()
