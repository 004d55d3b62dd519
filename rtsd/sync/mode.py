"""The mode machine: accepts signals, journals each transition, and notifies listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

import structlog

from rtsd.core.instant import Millis
from rtsd.core.mode import Mode, Signal, next_mode
from rtsd.store import meta
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync.continuity import Continuity
from rtsd.sync.missed_pushes import MissedPushes
from rtsd.sync.unit_of_work import UnitsOfWork

EXPECTS_PUSHES = {
    Signal.PUSH: True,
    Signal.RELAY_FAILED: True,
    Signal.PACKAGE_FOUND: True,
    Signal.PACKAGE_ENABLED: True,
    Signal.PACKAGE_MISSING: False,
    Signal.PACKAGE_DISABLED: False,
}
"""Signals that show whether the package is installed and enabled."""
_PAUSED_KEY = "paused"

Listener = Callable[[Mode, Mode], None]
"""Called after a transition, with the old and the new mode."""

log = structlog.get_logger("rtsd.mode")


class Awaited(Enum):
    """What is awaited at the start, and the reason shown for it."""

    PACKAGE = "started"
    STREAM = "the stream of change events has not responded yet"
    NOTHING = "no push channel is configured"


class ModeMachine:
    """Holds the mode, and changes it by the table in `core.mode`."""

    def __init__(
        self,
        database: Database,
        work: UnitsOfWork,
        now: Callable[[], Millis],
        missed_pushes: MissedPushes,
        *,
        continuity: Continuity,
        awaits: Awaited,
    ) -> None:
        self._database = database
        self._work = work
        self._now = now
        self._missed_pushes = missed_pushes
        self._continuity = continuity
        self._listeners: list[Listener] = []
        self._turn = asyncio.Lock()
        self.mode = Mode.AWAITING_PACKAGE if awaits is Awaited.PACKAGE else Mode.INTERVAL
        self.since = self._now()
        self.reason = awaits.value

    @property
    def is_paused(self) -> bool:
        """True if an operator has paused the sync."""
        return self.mode is Mode.PAUSED

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` after every transition."""
        self._listeners.append(listener)

    async def observe(self, signal: Signal, reason: str = "") -> None:
        """Handle a signal. A transition is journalled with its reason before it takes effect."""
        if signal in EXPECTS_PUSHES:
            await self._missed_pushes.expect(pushes=EXPECTS_PUSHES[signal])
        async with self._turn:
            before, target = self.mode, next_mode(self.mode, signal)
            if target is before:
                return
            reason = reason or signal.value
            if target is not Mode.REAL_TIME and (before, target) != (Mode.AWAITING_PACKAGE, Mode.INTERVAL):
                await self._continuity.lost(reason)
            detail = {"from": before.value, "to": target.value}
            await self._work.note(Note("mode", message=f"{target.value}: {reason}", detail=detail))
            self.mode, self.since, self.reason = target, self._now(), reason
        log.info("mode", mode=target.value, before=before.value, reason=reason)
        for listener in self._listeners:
            listener(before, target)

    async def pause(self) -> None:
        """Stop reading and applying; the gateway still accepts pushes."""
        await self.observe(Signal.PAUSE)
        await self._remember_pause(paused=True)

    async def resume(self) -> None:
        """End a pause."""
        await self.observe(Signal.RESUME)
        await self._remember_pause(paused=False)

    async def restore(self) -> None:
        """Restore the last run's pause, if any."""
        if await meta.get(self._database, _PAUSED_KEY) == "1":
            await self.observe(Signal.PAUSE)

    async def _remember_pause(self, *, paused: bool) -> None:
        async with self._database.transaction() as tx:
            await meta.put(tx, _PAUSED_KEY, "1" if paused else "0")
