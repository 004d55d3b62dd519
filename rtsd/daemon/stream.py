"""Construction of the subscription of `stream` and `cdc` from `[push]`.

gRPC is imported only where one of them is configured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rtsd.config import Config
from rtsd.control import protocol
from rtsd.control.wire import iso
from rtsd.core.channel import PUSH_EVENT
from rtsd.core.delivery_budget import DeliveryBudget
from rtsd.core.extras import how_to_add
from rtsd.core.instant import Millis
from rtsd.core.problem import Problem
from rtsd.core.seal import SealRule
from rtsd.daemon.parts import Base, Channel
from rtsd.errors import ConfigError
from rtsd.salesforce.session import Session
from rtsd.services import Service
from rtsd.store.journal import Note
from rtsd.sync import object_states
from rtsd.sync.capture import Capture
from rtsd.sync.deliveries import Deliveries
from rtsd.sync.intake import Intake
from rtsd.sync.interval_sync import IntervalSync
from rtsd.sync.limits import Limits
from rtsd.sync.mirrored_object import MirroredObject

if TYPE_CHECKING:
    from rtsd.core.change_event import KindOf
    from rtsd.stream.change_receiver import ChangeReceiver
    from rtsd.stream.inbox_receiver import InboxReceiver
    from rtsd.stream.storing_receiver import BusSigns
    from rtsd.stream.subscriber import StreamState


TOPIC = f"/event/{PUSH_EVENT}"


@dataclass(frozen=True, slots=True)
class StreamChannel:
    """The subscriber, and what status says of it."""

    topic: str
    subscriber: Service
    receiver: InboxReceiver | ChangeReceiver
    state: StreamState
    deliveries: Deliveries

    def view(self, now: Millis) -> protocol.Stream:
        """Return the channel's state for status."""
        state, ending, usage = self.state, self.state.ending, self.deliveries.usage
        position_at = self.receiver.position_at
        return protocol.Stream(
            topic=self.topic,
            connected=state.connected,
            since=iso(state.since),
            last_event_at=iso(state.last_event_at),
            replay_age_s=None if position_at is None else max(now - position_at, 0) // 1000,
            deliveries_24h=None if usage is None else usage.used,
            deliveries_ours_24h=self.deliveries.ours(),
            deliveries_max=None if usage is None else usage.highest,
            deliveries_stop_at=None if usage is None else self.deliveries.stops_at(usage.highest),
            error=None if ending is None else f"{ending.message}. {ending.do}".strip(),
        )


@dataclass(frozen=True, slots=True)
class _MirroredObjects:
    """What the receiver of change events knows of the mirrored objects, and does about them."""

    base: Base
    capture: Capture
    interval_sync: IntervalSync

    def kinds_of(self, object_name: str) -> KindOf | None:
        """Return what knows the fields of an object; None for an object that is not mirrored."""
        mirrored = self.base.catalog.find(object_name)
        return None if mirrored is None else mirrored.kind_of

    def heard(self, object_name: str) -> None:
        """Record an event of an object that is mirrored."""
        self.capture.heard(self._find(object_name).name)

    async def reread(self, object_name: str, reason: str, *, in_full: bool) -> None:
        """Have an object read: in full, or from its last cursor, as a restart would, too."""
        mirrored = self._find(object_name)
        if in_full:
            await object_states.want_reread(self.base.work, mirrored, reason)
        else:
            await self.base.work.note(Note("package", mirrored.name, message=f"it is being read: {reason}"))
            await self.interval_sync.catch_up_object(mirrored.name, reason)

    def _find(self, object_name: str) -> MirroredObject:
        mirrored = self.base.catalog.find(object_name)
        if mirrored is None:
            raise AssertionError(f"{object_name} is not mirrored")
        return mirrored


def topic_of(config: Config) -> str:
    """Return the topic that rtsd subscribes to; empty for a channel without one."""
    return {"stream": TOPIC, "cdc": config.push.topic}.get(config.push.channel, "")


def stream_channel(
    base: Base, limits: Limits, channel: Channel, intake: Intake, interval_sync: IntervalSync
) -> StreamChannel | None:
    """Build the subscription; None for a channel without one."""
    config, topic = base.config, topic_of(base.config)
    if not topic:
        return None
    from rtsd.stream.storing_receiver import BusSigns  # noqa: PLC0415 - see above
    from rtsd.stream.subscriber import Endpoint, Subscriber  # noqa: PLC0415 - see above

    async def catch_up(why: str) -> None:
        """Read every object from its cursor, which no push moves; a restart does that, too."""
        if not channel.continuity.is_resuming:
            await base.work.note(Note("package", message=f"every object is being read: {why}"))
        await interval_sync.catch_up(why)

    deliveries = Deliveries(DeliveryBudget(config.push.deliveries), limits, base.ledger, base.machine.wall)
    signs = BusSigns(deliveries.received, channel.evidence.beat, channel.evidence.lost)
    receiver = _receiver(base, channel, interval_sync, intake=intake, signs=signs, catch_up=catch_up)
    subscriber = Subscriber(
        Endpoint(config.push.endpoint, topic, _ca_file(config)),
        tokens=base.session,
        receiver=receiver,
        allowance=deliveries,
        now=base.machine.wall,
        jitter=lambda: base.machine.random_bytes(1)[0] / 255,
    )
    return StreamChannel(topic, subscriber, receiver, subscriber.state, deliveries)


def _receiver(
    base: Base,
    channel: Channel,
    interval_sync: IntervalSync,
    *,
    intake: Intake,
    signs: BusSigns,
    catch_up: Callable[[str], Awaitable[None]],
) -> InboxReceiver | ChangeReceiver:
    from rtsd.stream.change_receiver import ChangeReceiver  # noqa: PLC0415 - see above
    from rtsd.stream.inbox_receiver import InboxReceiver  # noqa: PLC0415 - see above

    topic, report, capture = topic_of(base.config), base.work.report, channel.capture
    if capture is None:
        return InboxReceiver(
            intake,
            topic,
            seal_rule=SealRule(demanded=base.config.push.sealed),
            signs=signs,
            continuity=channel.continuity,
            catch_up=catch_up,
            report=report,
        )
    capture.subscribe(partial(interval_sync.catch_up, "an object was selected"))
    return ChangeReceiver(
        intake,
        topic,
        objects=_MirroredObjects(base, capture, interval_sync),
        signs=signs,
        continuity=channel.continuity,
        catch_up=catch_up,
        report=report,
    )


def require_extra(config: Config) -> None:
    """Raise ConfigError if the channel is configured, but its packages are missing."""
    missing = missing_package() if topic_of(config) else ""
    if missing:
        raise ConfigError(
            f'[push] channel = "{config.push.channel}" needs the package {missing}',
            how_to_add("stream"),
        )


def missing_package() -> str:
    """Return the name of a package of the extra `stream` that is not installed; "" if all are."""
    try:
        import fastavro  # noqa: F401, PLC0415 - see above
        import google.protobuf  # noqa: F401, PLC0415 - see above
        import grpc.aio  # noqa: F401, PLC0415 - see above
    except ImportError as error:
        return error.name or "grpc"
    return ""


async def problem_of(config: Config, session: Session) -> Problem | None:
    """Ask for the topic; return why rtsd could not subscribe to it, or None. Raises SalesforceError."""
    topic = topic_of(config)
    try:
        require_extra(config)
    except ConfigError as error:
        return Problem(f"{error.message}.", error.do)
    from rtsd.stream.endings import Remedy, StreamEnded, read_advice  # noqa: PLC0415 - see above
    from rtsd.stream.pubsub_client import connected  # noqa: PLC0415 - see above

    try:
        async with connected(config.push.endpoint, _ca_file(config), await session.token()) as client:
            may_subscribe = await client.may_subscribe(topic)
    except StreamEnded as ended:
        ending = ended.ending
        do = ending.do or "Check [push] endpoint, ca_file, the network and the proxy."
        awaits = ending.remedy is Remedy.WAIT_FOR_TOPIC
        return Problem(f"The Pub/Sub API does not serve {topic}: {ending.message}.", do, awaits)
    if not may_subscribe:
        what = f"The login's user may not subscribe to {topic}."
        return Problem(what, read_advice(topic), awaits_setup=topic == TOPIC)
    return None


def _ca_file(config: Config) -> str:
    return str(config.org.ca_file) if config.org.ca_file else ""
