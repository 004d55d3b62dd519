"""A daemon that subscribes to the second org's bus, by either channel, and what a test asks of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.second_org import package
from tests.support.second_org.change_events import TOPIC, Capture
from tests.support.second_org.home import Home, home
from tests.support.second_org.mirroring import reached
from tests.support.second_org.org import Habits
from tests.support.second_org.package import events, publish
from tests.support.second_org.pubsub import PubSub, streaming
from tests.support.second_org.push import change
from tests.support.second_org.server import serving
from tests.support.waiting import eventually

CAPTURED = ("Account", "Contact", "Device__c")
"""The objects that are selected for Change Data Capture."""
QUIET_S = 0.4
Table = Mapping[str, Any]
"""A table of the configuration."""


@dataclass
class Subscribed:
    """A daemon that subscribes, and the bus that it subscribes to."""

    place: Home
    pubsub: PubSub
    capture: Capture

    def edit(self, number: int, email: str, **more: Any) -> dict[str, Any]:
        """Edit a contact; the change that tells of it."""
        person = self.capture.keys("Contact")[number]
        self.place.org.records.update("Contact", person, Email=email)
        return change(self.place.org, "Contact", "update", person, **more)

    def publish(self, told: dict[str, Any], **how: Any) -> None:
        """Publish a document as the package does."""
        publish(self.pubsub.bus, events(told, **how))

    async def status(self) -> dict[str, Any]:
        """The daemon's status."""
        return dict(await self.place.get("/v1/status"))

    async def begin(self) -> None:
        """Start the daemon, and wait until its stream has responded and it reads no more."""
        await self.place.start()
        await reached(self.place)
        await self.until(lambda status: status["push"]["stream"]["connected"], "the first response")
        await settled(self)

    async def until(self, holds: Callable[[dict[str, Any]], Any], what: str, within: float = 45.0) -> None:
        """Wait until the status is so."""

        async def probe() -> bool:
            return bool(holds(await self.status()))

        await eventually(probe, what, within)


@asynccontextmanager
async def told_by_package(
    contacts: int = 60, push: Table | None = None, sync: Table | None = None
) -> AsyncIterator[Subscribed]:
    """A mirror without a listening port, that the package's events tell of; its daemon is not started."""
    habits = Habits(covered_s=3.0, job_waits=())
    async with serving(habits, contacts) as org, streaming(org, package.TOPIC) as pubsub:
        package.register(pubsub.bus)
        tables: dict[str, Table] = {
            "objects": {"Contact": {}},
            "push": {"channel": "stream", "endpoint": pubsub.endpoint, **(push or {})},
            "sync": sync or {},
            "gateway": {"listen": ""},
        }
        async with home(org, **tables) as place:
            yield Subscribed(place, pubsub, Capture(org.records, pubsub.bus))


@asynccontextmanager
async def told_by_capture(*more: str, sync: Table | None = None) -> AsyncIterator[Subscribed]:
    """A mirror that change events tell of, but for `more` objects; its daemon is not started."""
    selected = ("AccountChangeEvent", "ContactChangeEvent", "Device__ChangeEvent")
    habits = Habits(covered_s=3.0, job_waits=(), captured=selected)
    async with serving(habits, contacts=60) as org, streaming(org, TOPIC) as pubsub:
        tables: dict[str, Table] = {
            "objects": {name: {} for name in (*CAPTURED, *more)},
            "push": {"channel": "cdc", "endpoint": pubsub.endpoint},
            "sync": sync or {},
            "gateway": {"listen": ""},
        }
        async with home(org, **tables) as place:
            yield Subscribed(place, pubsub, Capture(org.records, pubsub.bus))


async def settled(mine: Subscribed) -> None:
    """Wait until the reads that a new stream causes are over, so that they hide no event."""
    last = [0, 0.0]

    def probe() -> bool:
        calls, now = mine.place.org.calls.total(), time.monotonic()
        if calls != last[0]:
            last[:] = calls, now
        return now - last[1] > QUIET_S

    await eventually(probe, "no calls")


def presets(mine: Subscribed, since: int) -> list[int]:
    """Where the streams began that were opened after so many."""
    return [asked.replay_preset for asked in mine.pubsub.opened[since:]]


def newest(mine: Subscribed) -> int:
    """The journal's newest entry."""
    (row,) = mine.place.read("SELECT max(seq) AS seq FROM _rts_journal")
    return int(row["seq"])


def sources(mine: Subscribed, name: str, since: int) -> set[str]:
    """How the changes of an object came, after this entry of the journal."""
    rows = mine.place.read(
        "SELECT source FROM _rts_journal WHERE type = 'change' AND object = ? AND seq > ?", name, since
    )
    return {row["source"] for row in rows}
