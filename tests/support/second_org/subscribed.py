"""A daemon that subscribes to the second org's bus, and what a test asks of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.second_org.change_events import Capture
from tests.support.second_org.home import Home
from tests.support.second_org.package import events, publish
from tests.support.second_org.pubsub import PubSub
from tests.support.second_org.push import change
from tests.support.waiting import eventually

QUIET_S = 0.4


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

    async def until(self, holds: Callable[[dict[str, Any]], Any], what: str) -> None:
        """Wait until the status is so."""

        async def probe() -> bool:
            return bool(holds(await self.status()))

        await eventually(probe, what, 15)


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
