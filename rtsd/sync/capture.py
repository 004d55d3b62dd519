"""Which objects' changes Change Data Capture brings; Interval Sync reads the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from rtsd.core.instant import Millis
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.salesforce import capture
from rtsd.salesforce.client import Client
from rtsd.services import Service
from rtsd.store import meta
from rtsd.store.database import Database

PURPOSE = "describe"
"""The purpose of its calls in the ledger."""
_KEY = "captured_objects"

log = structlog.get_logger("rtsd.capture")


class Capture(Service):
    """Asks the org for the selected objects, when the daemon starts, every period, and on request.

    Until it has answered, the selection of the last run counts: what was missed then is judged by it. Where
    the user may not read the selection, an object counts as selected once an event of it has come.
    """

    name = "capture"

    def __init__(
        self, client: Client, database: Database, topic: str, objects: Sequence[str], period_ms: Millis
    ) -> None:
        super().__init__()
        self._client = client
        self._database = database
        self._topic = topic
        self._objects = objects
        self._period_s = period_ms / 1000
        self._selected: dict[str, str] | None = None
        """By name, with what tells a selection from a later one of the same object."""
        self._heard: set[str] = set()
        self._listeners: list[Callable[[], Awaitable[None]]] = []

    def subscribe(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Call `listener` when more objects are selected: their changes before may have had no event."""
        self._listeners.append(listener)

    @property
    def selected(self) -> frozenset[str]:
        """The mirrored objects whose changes are brought."""
        return frozenset(self._heard if self._selected is None else self._selected)

    def uncovered(self) -> list[str]:
        """Return the mirrored objects that Interval Sync has to read."""
        selected = self.selected
        return [name for name in self._objects if name not in selected]

    def heard(self, object_name: str) -> None:
        """Record an event of a mirrored object."""
        self._heard.add(object_name)
        if self._selected is not None and object_name not in self._selected:
            self.wake.set()  # selected since the org was asked

    async def restore(self) -> None:
        """Restore the selection of the last run."""
        found = await meta.get(self._database, _KEY)
        stored = msgspec.json.decode(found, type=dict[str, str] | list[str]) if found else None
        self._selected = dict.fromkeys(stored, "") if isinstance(stored, list) else stored

    async def step(self) -> float:
        """Ask the org. Raises the errors that concern every call."""
        await self.refresh()
        return self._period_s

    async def refresh(self) -> None:
        """Ask the org for the selection, in one call. Raises the errors that concern every call."""
        before = self._selected
        try:
            found = await capture.members(self._client, purpose=PURPOSE)
        except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
            raise
        except SalesforceError as error:
            log.info("selection hidden", reason=error.message)
            return
        selected = capture.selected(found, self._objects, self._topic)
        if before is not None and selected.items() - before.items():
            for listener in self._listeners:  # before it is stored, so that a kill in between loses nothing
                await listener()
        self._selected = selected
        if selected != before:
            async with self._database.transaction() as tx:
                await meta.put(tx, _KEY, msgspec.json.encode(selected).decode())
