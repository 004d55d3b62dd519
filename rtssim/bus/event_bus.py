"""The bus: events in order of publication, their replay ids, and how long they are kept.

Facts: Pub/Sub API guide, Event Message Durability: 72 hours; ids are opaque and not contiguous.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from rtssim.bus.event_schema import EventSchema
    from rtssim.clock import Clock
    from rtssim.switches import EventSwitches

RETENTION = timedelta(hours=72)
ID_BYTES = 10  # two of the instance, eight of the position; clients must not look inside
GAP = 7  # between two ids, which are not contiguous
PER_MS = 1_000  # positions in a millisecond
LATE_S = 60.0  # of an event that is late, unless said otherwise


class ReplayIdInvalid(Exception):
    """A replay id that is malformed, expired, or from before the org's move to another instance."""


@dataclass(frozen=True, slots=True)
class Touched:
    """The fields that a change event lists: changed, nulled, and sent as a diff."""

    changed: frozenset[str] = frozenset()
    nulled: frozenset[str] = frozenset()
    diffed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BusEvent:
    """An event: of the object or platform event `name`, with its values for a reader who sees all."""

    number: int
    at: datetime
    name: str
    id: str
    schema: EventSchema
    values: Mapping[str, Any]
    touched: Touched | None = None


class EventBus:
    """Keeps events and wakes their readers."""

    def __init__(self, clock: Clock, switches: EventSwitches) -> None:
        self._clock = clock
        self._switches = switches
        self._instance = 1
        self._last = 0
        self._oldest = 0
        self._events: list[BusEvent] = []
        self._numbers: list[int] = []
        self._late: list[tuple[datetime, Callable[[], BusEvent]]] = []
        self._readers: set[asyncio.Event] = set()

    # -- writing ------------------------------------------------------------------------------------
    def publish(
        self, name: str, schema: EventSchema, values: Mapping[str, Any], touched: Touched | None = None
    ) -> BusEvent:
        """Append an event and wake the readers."""
        at = self._clock.now()
        event = BusEvent(self.tick(), at, name, str(uuid.uuid4()), schema, values, touched)
        self._events.append(event)
        self._numbers.append(event.number)
        self._purge()
        self.wake_readers()
        return event

    def publish_late(self, seconds: float, publish: Callable[[], BusEvent]) -> None:
        """Publish an event after so many seconds of the org's clock; others overtake it meanwhile."""
        self._late.append((self._clock.now() + timedelta(seconds=seconds), publish))

    def _publish_due(self) -> None:
        now = self._clock.now()
        due = [publish for at, publish in self._late if at <= now]
        self._late = [(at, publish) for at, publish in self._late if at > now]
        for publish in due:
            publish()

    def tick(self) -> int:
        """Return a new position, that of the org's clock."""
        now = int(self._clock.now().timestamp() * 1000) * PER_MS
        self._last = max(now, self._last + GAP)
        return self._last

    def _purge(self) -> None:
        horizon = self._horizon()
        if self._numbers and self._numbers[0] < horizon:
            expired = bisect_left(self._numbers, horizon)
            del self._numbers[:expired], self._events[:expired]

    def _horizon(self) -> int:
        kept = RETENTION + timedelta(hours=self._switches.late_purge_h)
        horizon = int((self._clock.now() - kept).timestamp() * 1000) * PER_MS
        self._oldest = max(self._oldest, horizon)  # what has expired once stays so
        return self._oldest

    def move_instance(self) -> None:
        """Move the org to another instance: its stream begins again, and older ids are unknown."""
        self._instance += 1
        self._events.clear()
        self._numbers.clear()

    # -- reading ------------------------------------------------------------------------------------
    def replay_id(self, number: int) -> bytes:
        """Return the id of a position."""
        return self._instance.to_bytes(2, "big") + number.to_bytes(ID_BYTES - 2, "big")

    @staticmethod
    def number_of(replay_id: bytes) -> int:
        """Return the position in a replay id, whether it can be resumed from or not."""
        return int.from_bytes(replay_id[2:], "big")

    @property
    def newest(self) -> int:
        """The position of the newest event that is kept; 0 if there is none."""
        self._publish_due()
        return self._numbers[-1] if self._numbers else 0

    def position(self, replay_id: bytes) -> int:
        """Return the position of a replay id; ReplayIdInvalid if it cannot be resumed from."""
        number = self.number_of(replay_id)
        mine = len(replay_id) == ID_BYTES and int.from_bytes(replay_id[:2], "big") == self._instance
        if not mine or not self._horizon() <= number <= self._last:
            raise ReplayIdInvalid
        return number

    def earliest(self) -> int:
        """Return the position before the oldest event."""
        return self._horizon() - 1

    def after(self, number: int, wanted: Callable[[BusEvent], bool], most: int) -> tuple[list[BusEvent], int]:
        """Return up to `most` wanted events after a position, and the position that was read up to."""
        self._publish_due()
        self._purge()
        found: list[BusEvent] = []
        for place in range(bisect_right(self._numbers, number), len(self._events)):
            event = self._events[place]
            number = event.number
            if wanted(event):
                found.append(event)
                if len(found) == most:
                    break
        return found, number

    @contextmanager
    def reading(self, wake: asyncio.Event) -> Iterator[None]:
        """Set `wake` whenever an event is published."""
        self._readers.add(wake)
        try:
            yield
        finally:
            self._readers.discard(wake)

    def wake_readers(self) -> None:
        """Let every reader look again."""
        for reader in self._readers:
            reader.set()

    @property
    def readers(self) -> int:
        """How many read now."""
        return len(self._readers)
