"""Reports to systemd: the watchdog's keep-alive and a status line."""

from __future__ import annotations

from collections.abc import Sequence

from rtsd import systemd
from rtsd.core.object_state import ObjectState
from rtsd.core.plural import plural
from rtsd.errors import StorageAway
from rtsd.services import Service
from rtsd.store.database import Database
from rtsd.sync.catalog import Catalog
from rtsd.sync.mode import ModeMachine

STATUS_LINE_S = 5.0
"""Seconds between two status lines."""


class Watchdog(Service):
    """Pings systemd's watchdog for as long as services run and the files answer."""

    name = "systemd"

    def __init__(self, files: Sequence[Database], catalog: Catalog, mode: ModeMachine) -> None:
        super().__init__()
        self._files = files
        self._catalog = catalog
        self._mode = mode

    async def step(self) -> float:
        """Ping the watchdog once. Raises RtsError if a file no longer answers.

        A database that is away is waited for: a restart would not bring it back.
        """
        try:
            for file in self._files:
                await file.pulse()
        except StorageAway as error:
            systemd.status(f"pushes are refused: {error.message}")
        else:
            objects = list(self._catalog)
            live = sum(mirrored.state is ObjectState.LIVE for mirrored in objects)
            systemd.status(f"{self._mode.mode}: {live} of {plural(len(objects), 'object')} live")
        systemd.watchdog()
        return min(STATUS_LINE_S, (systemd.watchdog_s() or STATUS_LINE_S * 2) / 2)
