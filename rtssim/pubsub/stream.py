"""A subscription's stream: its credit, its position, and how it ends (Pub/Sub API guide, Subscribe RPC)."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtssim.bus.event_bus import ReplayIdInvalid
from rtssim.limits import DELIVERIES
from rtssim.pubsub.messages import CUSTOM, EARLIEST, message
from rtssim.pubsub.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from rtssim.bus.channels import Topic
    from rtssim.bus.event_bus import BusEvent, EventBus
    from rtssim.faults import Faults
    from rtssim.limits import Limits
    from rtssim.login.accounts import Session
    from rtssim.pubsub.access import Access
    from rtssim.pubsub.encoding import Encoder
    from rtssim.switches import EventSwitches

FetchResponse = message("FetchResponse")
MOST_CREDIT = 100
LOOK_EVERY_S = 0.05  # for the end of the session, and for faults


@dataclass(frozen=True)
class StreamParts:
    """What a stream needs of the org."""

    bus: EventBus
    access: Access
    encoder: Encoder
    limits: Limits
    faults: Faults
    switches: EventSwitches


class BrokenStream(Exception):
    """The stream ends without a code, as after a failure of the network."""


class EventStream:
    """One call of Subscribe."""

    def __init__(self, parts: StreamParts, session: Session, send: Callable[[Any], Awaitable[None]]) -> None:
        self._parts = parts
        self._session = session
        self._send = send
        self._wake = asyncio.Event()
        self._topic: Topic | None = None
        self._position = 0
        self._credit = 0
        self._refusal: Refused | None = None
        self._fetches: list[float] = []
        self._closed = False

    async def run(self, requests: AsyncIterator[Any]) -> None:
        """Serve the stream until the client leaves; raises Refused or BrokenStream."""
        first = await anext(requests, None)
        if first is None:
            return
        self._open(first)
        await self._settle(first)
        reader = asyncio.create_task(self._read(requests), name="fetch requests")
        try:
            with self._parts.bus.reading(self._wake):
                await self._serve()
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    # -- requests -----------------------------------------------------------------------------------
    def _open(self, first: Any) -> None:
        self._topic = self._parts.access.topic(first.topic_name, self._session.who)
        if self._parts.bus.readers >= self._parts.switches.most_streams:
            raise Refused("concurrent.client.limit.exceeded")
        self._require_allocation()
        self._position = self._start(first)
        self._take(first)

    async def _settle(self, first: Any) -> None:
        """Let LATEST take effect."""
        if first.replay_preset not in (EARLIEST, CUSTOM):
            await asyncio.sleep(self._parts.switches.latest_after_s)
            self._position = self._parts.bus.tick()

    def _start(self, first: Any) -> int:
        bus = self._parts.bus
        if first.replay_preset == EARLIEST:
            return bus.earliest()
        if first.replay_preset != CUSTOM:
            return bus.tick()
        if not first.replay_id:
            raise Refused("subscription.fetch.replayid.validation.failed")
        try:
            return bus.position(first.replay_id)
        except ReplayIdInvalid as problem:
            raise Refused("subscription.fetch.replayid.corrupted") from problem

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        try:
            async for request in requests:
                self._take(request)
                self._wake.set()
        except Refused as refusal:
            self._refusal = refusal
        self._closed = self._refusal is None
        self._wake.set()

    def _take(self, request: Any) -> None:
        """Add a request's credit, up to the maximum."""
        if self._topic is not None and request.topic_name not in ("", self._topic.name):
            raise Refused("subscription.fetch.topic.mismatch")
        if request.num_requested <= 0:
            raise Refused("subscription.fetch.requested.events.invalid")
        if request.auth_refresh:
            raise Refused("subscription.fetch.request.invalid")
        now = time.monotonic()
        self._fetches = [*(at for at in self._fetches if at > now - 1), now]
        if len(self._fetches) > self._parts.switches.fetches_per_s:
            raise Refused("service.protection.stream.limit.triggered")
        self._credit = min(self._credit + request.num_requested, MOST_CREDIT)

    # -- responses ----------------------------------------------------------------------------------
    async def _serve(self) -> None:
        quiet_since = empty_since = time.monotonic()
        while not self._closed:
            self._wake.clear()
            await self._check()
            if self._credit:
                empty_since = time.monotonic()
                if await self._deliver() or await self._keep_alive(quiet_since):
                    quiet_since = time.monotonic()
                    continue
            elif time.monotonic() - empty_since > self._parts.switches.credit_timeout_s:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_EVERY_S)

    async def _check(self) -> None:
        """Raise what ends the stream now."""
        if self._refusal is not None:
            raise self._refusal
        path = f"/Subscribe{self._topic.name if self._topic else ''}"
        fault = self._parts.faults.hit(("rpc_error", "rpc_broken", "rpc_silent"), path)
        if fault is not None and fault.kind == "rpc_silent":
            await asyncio.sleep(fault.number("seconds", 3_600))
        elif fault is not None and fault.kind == "rpc_broken":
            raise BrokenStream
        elif fault is not None:
            raise Refused(str(fault.parameters.get("code", "service.unavailable")))
        ends = self._parts.switches.session_end_ends_streams
        if ends and not self._parts.access.is_usable(self._session):
            raise Refused("service.auth.error", "The session has ended")

    async def _deliver(self) -> bool:
        events, position = self._parts.bus.after(self._position, self._is_wanted, self._credit)
        self._position = position
        if not events:
            return False
        self._require_allocation()
        self._parts.limits.use(DELIVERIES, len(events))
        self._credit -= len(events)
        who = self._session.who
        await self._respond([self._parts.encoder.consumer_event(event, who) for event in events], position)
        return True

    def _is_wanted(self, event: BusEvent) -> bool:
        return self._topic is not None and self._parts.access.carries(self._topic, event, self._session.who)

    def _require_allocation(self) -> None:
        limits = self._parts.limits
        if limits.used(DELIVERIES) >= limits.maximum[DELIVERIES]:
            raise Refused("subscription.limit.exceeded", "The daily allocation of deliveries is used up")

    async def _keep_alive(self, quiet_since: float) -> bool:
        if time.monotonic() - quiet_since < self._parts.switches.keepalive_s:
            return False
        self._position = self._parts.bus.tick()
        await self._respond([], self._position)
        return True

    async def _respond(self, events: list[Any], position: int) -> None:
        await self._send(
            FetchResponse(
                events=events,
                latest_replay_id=self._parts.bus.replay_id(position),
                rpc_id=str(uuid.uuid4()),
                pending_num_requested=self._credit,
            )
        )
