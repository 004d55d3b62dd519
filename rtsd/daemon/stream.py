"""Construction of the stream channel from `[push]`; gRPC is imported only where the channel is configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtsd.config import Config
from rtsd.control import protocol
from rtsd.control.wire import iso
from rtsd.core.instant import Millis
from rtsd.core.problem import Problem
from rtsd.daemon.parts import Base
from rtsd.errors import ConfigError
from rtsd.salesforce.session import Session
from rtsd.services import Service
from rtsd.store.journal import Note
from rtsd.sync.intake import Intake
from rtsd.sync.interval_sync import IntervalSync

if TYPE_CHECKING:
    from rtsd.stream.inbox_receiver import InboxReceiver
    from rtsd.stream.subscriber import StreamState

TOPIC = "/event/RTS_Push__e"


@dataclass(frozen=True, slots=True)
class StreamChannel:
    """The subscriber, and what status says of it."""

    subscriber: Service
    state: StreamState
    receiver: InboxReceiver

    def view(self, now: Millis) -> protocol.Stream:
        """Return the channel's state for status."""
        state, ending = self.state, self.state.ending
        return protocol.Stream(
            topic=TOPIC,
            connected=state.connected,
            since=iso(state.since),
            last_event_at=iso(state.last_event_at),
            replay_age_s=None if state.last_response_at is None else (now - state.last_response_at) // 1000,
            deliveries_ours_24h=self.receiver.delivered.last_day(now),
            error=None if ending is None else f"{ending.message}. {ending.do}".strip(),
        )


def stream_channel(base: Base, intake: Intake, interval_sync: IntervalSync) -> StreamChannel | None:
    """Build the stream channel; None for another channel."""
    config, now = base.config, base.machine.wall
    if config.push.channel != "stream":
        return None
    from rtsd.stream.inbox_receiver import InboxReceiver  # noqa: PLC0415 - see above
    from rtsd.stream.subscriber import Endpoint, Subscriber  # noqa: PLC0415 - see above

    async def catch_up(why: str) -> None:
        """Read every object from its cursor, which no push moves; a restart does that, too."""
        await base.work.note(Note("package", message=f"every object is being read: {why}"))
        interval_sync.catch_up()

    receiver = InboxReceiver(intake, TOPIC, catch_up=catch_up, report=base.work.report)
    subscriber = Subscriber(
        Endpoint(config.push.endpoint, TOPIC, _ca_file(config)),
        tokens=base.session,
        receiver=receiver,
        now=now,
        jitter=lambda: base.machine.random_bytes(1)[0] / 255,
    )
    return StreamChannel(subscriber, subscriber.state, receiver)


def require_extra(config: Config) -> None:
    """Raise ConfigError if the channel is configured, but its packages are missing."""
    if config.push.channel == "stream":
        try:
            import fastavro  # noqa: F401, PLC0415 - see above
            import google.protobuf  # noqa: F401, PLC0415 - see above
            import grpc.aio  # noqa: F401, PLC0415 - see above
        except ImportError as error:
            raise ConfigError(
                f'[push] channel = "stream" needs the package {error.name}',
                "install the extra: pip install 'rtsd[stream]'",
            ) from error


async def problem_of(config: Config, session: Session) -> Problem | None:
    """Ask for the topic; return why rtsd could not subscribe to it, or None. Raises SalesforceError."""
    try:
        require_extra(config)
    except ConfigError as error:
        return Problem(f"{error.message}.", error.do)
    from rtsd.stream.endings import StreamEnded  # noqa: PLC0415 - see above
    from rtsd.stream.pubsub_client import connected  # noqa: PLC0415 - see above

    try:
        async with connected(config.push.endpoint, _ca_file(config), await session.token()) as client:
            may_subscribe = await client.may_subscribe(TOPIC)
    except StreamEnded as ended:
        ending = ended.ending
        do = ending.do or "Check [push] endpoint, ca_file, the network and the proxy."
        return Problem(f"The Pub/Sub API does not serve {TOPIC}: {ending.message}.", do)
    if not may_subscribe:
        return Problem(f"The login's user may not subscribe to {TOPIC}.", "Give the user Read on the event.")
    return None


def _ca_file(config: Config) -> str:
    return str(config.org.ca_file) if config.org.ca_file else ""
