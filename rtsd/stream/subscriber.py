"""The subscriber: one stream at a time, reopened for as long as the daemon runs.

Streams end every day: sessions expire, Salesforce releases, networks fail. Nothing is lost, because the
position is stored with the events; a stream counts as proven only from its first response on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Never, Protocol

import structlog

from rtsd.core.backoff import pause_ms
from rtsd.core.instant import HOUR_MS, MINUTE_MS, Millis
from rtsd.core.position import Position
from rtsd.errors import CannotCommit, StoreError
from rtsd.salesforce.login import Token
from rtsd.services import UNTIL_WOKEN, Service
from rtsd.stream import pubsub_pb2 as pb
from rtsd.stream.credit import Credit
from rtsd.stream.decoding import BusEvent, Decoder
from rtsd.stream.endings import Ending, Remedy, StreamEnded, lost, unaffordable
from rtsd.stream.pubsub_client import PubSubClient, Subscription, connected
from rtsd.stream.receiver import Receiver

_FIRST_PAUSE: Millis = 1_000
_LONGEST_PAUSE: Millis = 60_000
_PAUSES: dict[Remedy, Millis] = {
    Remedy.WAIT_FOR_TOPIC: 20_000,  # a package is noticed within 30 s of its deployment (contract section 6)
    Remedy.WAIT_FOR_DELIVERIES: 30 * MINUTE_MS,
    Remedy.ASK_OPERATOR: HOUR_MS,
}
_FIRST_STREAM = "the stream has no position yet"
_GAPS = {
    Remedy.CATCH_UP: "Salesforce no longer knows the stream's position",
    Remedy.WAIT_FOR_DELIVERIES: "the event deliveries were used up; the bus is not asked for what it kept",
}
"""Why the next stream begins at the end of the bus, by the last one's end.

What the bus kept would count against the same deliveries, once more.
"""

log = structlog.get_logger("rtsd.stream")


class Tokens(Protocol):
    """The shared login."""

    async def token(self) -> Token:
        """Return the current token. Raises SalesforceError."""

    def expire(self, token: Token) -> None:
        """Discard a token that Salesforce rejected."""


class Allowance(Protocol):
    """The org's event deliveries, as far as rtsd may take them."""

    changed: asyncio.Event
    """Set when a subscription may begin, and when it is known for the first time whether it may."""

    @property
    def is_known(self) -> bool:
        """Whether that is decided."""

    def may_subscribe(self) -> bool:
        """Return whether a subscription may begin, or go on."""

    def refusal(self) -> str:
        """Return why not."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to subscribe to what: `address` is `host:port` for TLS, or `http://127.0.0.1:port`."""

    address: str
    topic: str
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a subscriber waits (seconds)."""

    silence_s: float = 300.0
    """Without any response for this long a stream is dead: an idle one has a keepalive within 270 s."""
    latest_s: float = 5.0
    """After this long a stream that was opened at the end of the bus is in effect, response or not."""
    idle_s: float = 40.0
    """A full inbox leaves a stream without credit for this long: Salesforce closes it after 60 s."""
    store_s: float = 60.0
    room_s: float = 0.5
    """How often a full inbox is asked whether it has room."""
    allowance_s: float = 5.0
    """How often an idle stream looks at the allowance: other subscribers use it, too."""


@dataclass(slots=True)
class StreamState:
    """A subscriber's state for status; times are local (ms)."""

    connected: bool | None = None
    """None until a stream's first response."""
    since: Millis | None = None
    last_event_at: Millis | None = None
    ending: Ending | None = None
    """How the last stream ended, until the next is proven."""


class Subscriber(Service):
    """Keeps a subscription open."""

    name = "stream"

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        tokens: Tokens,
        receiver: Receiver,
        allowance: Allowance,
        now: Callable[[], Millis],
        jitter: Callable[[], float],
        patience: Patience | None = None,
    ) -> None:
        """`jitter` returns numbers from 0 to 1, which spread the pauses of many clients."""
        super().__init__(allowance.changed)
        self._allowance = allowance
        self._endpoint = endpoint
        self._tokens = tokens
        self._receiver = receiver
        self._now = now
        self._jitter = jitter
        self._patience = patience or Patience()
        self._decoder = Decoder(endpoint.topic)
        self._gap = ""
        """Why the next stream begins at the end of the bus; empty to resume."""
        self._failures = 0
        """Streams that ended in a row before anything of them was stored, keepalives included."""
        self.state = StreamState()

    async def step(self) -> float:
        """Keep one stream until it ends; return the seconds until the next.

        Raises SalesforceError if rtsd cannot log in.
        """
        if not self._allowance.is_known:
            return UNTIL_WOKEN
        token = await self._tokens.token()
        ended = await self._run(token)
        if self._failures:
            ended = ended.again()
        self._failures += 1
        self.state.ending = ended
        log.info("stream ended", code=ended.code or None, reason=ended.message, remedy=ended.remedy.name)
        await self._receiver.ended(ended)
        if ended.remedy is Remedy.LOG_IN:
            self._tokens.expire(token)
        self._gap = _GAPS.get(ended.remedy, self._gap)
        return self._pause(ended.remedy)

    async def _run(self, token: Token) -> Ending:
        """Follow a stream to its end."""
        try:
            _demand(self._allowance)
            async with connected(self._endpoint.address, self._endpoint.ca_file, token) as client:
                await self._follow(client)
        except StreamEnded as ended:
            return ended.ending
        except (CannotCommit, StoreError) as error:  # nothing of it was stored: it comes again
            return lost(f"the events could not be stored: {error}").ending
        finally:
            if self.state.connected:
                self.state.connected, self.state.since = False, self._now()
        raise RuntimeError("a stream is followed until it ends")

    # -- one stream ---------------------------------------------------------------------------------
    async def _follow(self, client: PubSubClient) -> Never:
        """Take what a stream brings, until it ends with StreamEnded."""
        position = await self._receiver.position()
        gap = self._gap or ("" if position is not None else _FIRST_STREAM)
        if gap or position is None:
            position = Position(b"", self._now())  # the end of the bus, wherever that is
        replay_id = None if gap else position.replay_id
        async with client.subscription(self._endpoint.topic, replay_id) as subscription:
            stream = _Stream(subscription, self._receiver, self._allowance, self._patience)
            while True:
                response = await stream.next(self._patience.latest_s if gap else None)
                if gap:
                    await self._receiver.catch_up(gap)
                    gap = self._gap = ""
                if response is not None:
                    self._proven(response)
                    now = self._now()
                    events = await self._decoded(client, response, position, now)
                    position = events[-1].position if events else Position(response.latest_replay_id, now)
                    await self._store(events, position)
                    self._failures = 0

    async def _decoded(
        self, client: PubSubClient, response: pb.FetchResponse, before: Position, now: Millis
    ) -> list[BusEvent]:
        events: list[BusEvent] = []
        for event in response.events:
            events.append(await self._decoder.decode(client, event, before, now))
            before = events[-1].position
        return events

    async def _store(self, events: list[BusEvent], position: Position) -> None:
        try:
            async with asyncio.timeout(self._patience.store_s):
                await self._receiver.store(events, position)
        except TimeoutError:
            raise CannotCommit("the events were not stored in time") from None

    def _proven(self, response: pb.FetchResponse) -> None:
        """Record a response, the only proof that a stream works."""
        now = self._now()
        if self.state.connected is not True:
            self.state.connected, self.state.since = True, now
            log.info("stream open", topic=self._endpoint.topic)
        self.state.ending = None
        if response.events:
            self.state.last_event_at = now

    def _pause(self, remedy: Remedy) -> float:
        """Return the seconds until the next stream."""
        if remedy in _PAUSES:
            return _PAUSES[remedy] / 1000
        if remedy in (Remedy.LOG_IN, Remedy.CATCH_UP) and self._failures <= 1:
            return 0.0
        pause = pause_ms(self._failures, _FIRST_PAUSE, _LONGEST_PAUSE)
        return pause / 1000 * (0.5 + self._jitter() / 2)


def _demand(allowance: Allowance) -> None:
    """Raise StreamEnded if the allowance is used up."""
    if not allowance.may_subscribe():
        raise unaffordable(allowance.refusal())


class _Stream:
    """The responses of a subscription, with the credit that brings them."""

    def __init__(
        self, subscription: Subscription, receiver: Receiver, allowance: Allowance, patience: Patience
    ) -> None:
        self._subscription = subscription
        self._receiver = receiver
        self._allowance = allowance
        self._patience = patience
        self._clock = asyncio.get_running_loop().time
        self._credit = Credit(self._clock(), patience.idle_s)
        self._heard_at = self._clock()
        self._is_open = False

    async def next(self, within_s: float | None) -> pb.FetchResponse | None:
        """Return the next response; None if none comes `within_s`. Raises StreamEnded, after silence too."""
        until = None if within_s is None else self._clock() + within_s
        while True:
            _demand(self._allowance)
            await self._ask()
            now = self._clock()
            silent_at = self._heard_at + self._patience.silence_s
            if now >= silent_at:
                raise lost(
                    f"no response for {self._patience.silence_s:.0f} s, though an idle stream has them"
                )
            if until is not None and now >= until:
                return None
            wait = min(min(silent_at, until or silent_at) - now, self._patience.allowance_s)
            if self._credit.outstanding == 0:
                wait = min(wait, self._patience.room_s)
            response = await self._subscription.response(wait)
            if response is not None:
                self._heard_at = self._clock()
                self._credit.received(len(response.events), response.pending_num_requested, self._heard_at)
                return response

    async def _ask(self) -> None:
        """Ask for what the receiver has room for; a stream is opened by its first request."""
        has_room = self._receiver.has_room()
        count = self._credit.due(self._clock(), has_room=has_room) if self._is_open or has_room else 1
        if count:
            if not self._credit.outstanding:
                self._heard_at = self._clock()  # nothing could come meanwhile
            self._is_open = True
            await self._subscription.ask(count)
            self._credit.asked(count)
