"""Working off the records that are to be fetched."""

from __future__ import annotations

import asyncio

from rtsd.services import Service
from rtsd.sync.engine import Engine
from rtsd.sync.mode import ModeMachine
from rtsd.sync.repair import SETTLE_S, Repair

PAUSE_S = 5.0
"""Seconds between two rounds, for records of filtered objects that wait for more of them."""


class Repairing(Service):
    """Fetches records that are asked for, all that a burst of pushes names together."""

    name = "repair"

    def __init__(self, engine: Engine, mode: ModeMachine, repair: Repair) -> None:
        super().__init__(engine.fetch_wanted)
        self._mode = mode
        self._repair = repair

    async def step(self) -> float:
        """Let a burst settle, then fetch."""
        if not self._mode.is_paused:
            await asyncio.sleep(SETTLE_S)
            await self._repair.step(patiently=True)
        return PAUSE_S
