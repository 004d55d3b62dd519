"""Connections that are left unread for a moment after a refusal.

A sender that comes again at once, despite the Retry-After, would take the event loop's time with refusals.
What it sends meanwhile waits in the kernel, until the sender's own write blocks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

COOLDOWN_S = 0.5
TICK_S = 0.02
"""The least time between two turns of resuming; each turn resumes all that are due."""


class Cooldown:
    """Resumes each connection COOLDOWN_S after its refusal."""

    def __init__(self) -> None:
        self._due: deque[tuple[float, Callable[[], object]]] = deque()
        """Seconds of the loop, and what resumes the connection, closed or not; the earliest first."""

    def add(self, resume: Callable[[], object]) -> None:
        """Call `resume` after the cooldown."""
        loop = asyncio.get_running_loop()
        self._due.append((loop.time() + COOLDOWN_S, resume))
        if len(self._due) == 1:
            loop.call_later(COOLDOWN_S, self._resume)

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due and self._due[0][0] <= loop.time():
            self._due.popleft()[1]()
        if self._due:
            loop.call_at(max(self._due[0][0], loop.time() + TICK_S), self._resume)
