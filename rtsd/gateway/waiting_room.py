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
RESERVED_DESCRIPTORS = 128
"""Left for the database, the control socket and the calls to Salesforce."""


class WaitingRoom:
    """The unproven connections in the order of their coming, and how many connections there are in all."""

    def __init__(self, meters: Meters, descriptors: int | None = None) -> None:
        limit = descriptors or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most_open = max(limit - min(RESERVED_DESCRIPTORS, limit // 2), 8)
        self._most_waiting = min(MOST_WAITING, self._most_open // 2)
        self._waiting: dict[object, Callable[[], object]] = {}
        self._open = 0
        self._left = asyncio.Event()
        self._meters = meters

    def enter(self, who: object, leave: Callable[[], object]) -> None:
        """Let a connection in; `leave` throws it out again. It may be thrown out before this returns."""
        self._open += 1
        self._waiting[who] = leave
        if len(self._waiting) > self._most_waiting or self._open > self._most_open:
            self.drop_oldest("crowded")
        self._show()

    def drop_oldest(self, reason: str) -> bool:
        """Throw out who has waited longest; False when nobody waits."""
        for who, leave in self._waiting.items():
            self.drop(who, leave, reason)
            return True
        return False

    def drop(self, who: object, leave: Callable[[], object], reason: str) -> None:
        """Throw one out, and count why."""
        self._waiting.pop(who, None)
        self._meters.dropped.labels(reason).inc()
        leave()

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
