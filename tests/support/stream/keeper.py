"""What takes a subscriber's events, and a subscriber that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rtsd.core.position import Position
from rtsd.errors import CannotCommit
from rtsd.salesforce.credentials import Auth, Credentials
from rtsd.salesforce.ledger import NullLedger
from rtsd.salesforce.session import Session
from rtsd.services import repeat
from rtsd.stream.decoding import BusEvent
from rtsd.stream.endings import Ending
from rtsd.stream.subscriber import Endpoint, Patience, Subscriber
from rtssim.process import SimulatedOrg
from tests.support.clocks import ManualClock
from tests.support.rtssim.pubsub import TOPIC

QUICK = Patience(silence_s=10.0, latest_s=0.5, idle_s=0.2, room_s=0.02, allowance_s=0.05)


@dataclass
class Keeper:
    """Keeps what a subscriber stores, with the position, as one step; survives the subscriber."""

    events: list[BusEvent] = field(default_factory=list)
    at: Position | None = None
    room: bool = True
    failures: int = 0
    """How many stores fail next."""
    log: list[str] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    largest: int = 0
    """The most events of one store."""

    def has_room(self) -> bool:
        """As the test says."""
        return self.room

    async def position(self) -> Position | None:
        """The last one stored."""
        return self.at

    async def store(self, events: Sequence[BusEvent], position: Position) -> None:
        """Keep events and position."""
        if self.failures:
            self.failures -= 1
            raise CannotCommit("no space")
        self.events += events
        self.at = position
        self.largest = max(self.largest, len(events))
        self.log.append(f"store {len(events)}")

    async def catch_up(self, why: str) -> None:
        """Note the request."""
        self.log.append(f"catch up: {why}")

    async def ended(self, ending: Ending) -> None:
        """Note the end."""
        self.endings.append(ending)

    @property
    def titles(self) -> list[Any]:
        """The titles in the events, in order."""
        return [event.values["Title"] for event in self.events]

    @property
    def codes(self) -> list[str]:
        """How streams ended."""
        return [ending.code for ending in self.endings]


@dataclass
class Allowance:
    """What a subscriber may take, as the test says."""

    refused: str = ""
    is_known: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def may_subscribe(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refused

    def refusal(self) -> str:
        """What speaks against it."""
        return self.refused

    def tell(self, *, refused: str = "") -> None:
        """Decide anew."""
        self.refused, self.is_known = refused, True
        if not refused:
            self.changed.set()


def session_of(org: SimulatedOrg) -> Session:
    """A real login at the simulated org."""
    info = org.info
    given = {name: info[name] for name in ("client_id", "client_secret")}
    credentials = Credentials(Auth.CLIENT_CREDENTIALS, org.url, **given)
    return Session(credentials, NullLedger(), ManualClock())


def subscriber_of(
    org: SimulatedOrg,
    keeper: Keeper,
    *,
    address: str = "",
    ca_file: str = "",
    topic: str = TOPIC,
    patience: Patience = QUICK,
    session: Session | None = None,
    allowance: Allowance | None = None,
    jitter: float = 0.0,
) -> Subscriber:
    """A subscriber of the org's bus."""
    return Subscriber(
        Endpoint(address or org.info["pubsub"], topic, ca_file),
        tokens=session or session_of(org),
        receiver=keeper,
        allowance=allowance or Allowance(),
        now=ManualClock(),
        jitter=lambda: jitter,
        patience=patience,
    )


@asynccontextmanager
async def running(subscriber: Subscriber) -> AsyncIterator[asyncio.Task[None]]:
    """The subscriber, as the daemon runs its services."""
    task = asyncio.create_task(repeat(subscriber, partial(subscriber.step)), name="subscriber")
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
