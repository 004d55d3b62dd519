"""The Pub/Sub API over gRPC, plaintext: topics, schemas, and streams with their credit."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tests.support.second_org.bus import Bus, Topic
from tests.support.second_org.data import ORG_ID
from tests.support.second_org.messages import CUSTOM, EARLIEST, SERVICE, message
from tests.support.second_org.org import Org

MOST_CREDIT = 100
MOST_REQUESTS = 12
"""In ten seconds, before the bus protects itself; the documents have no number."""


@dataclass
class Pace:
    """How fast the bus is where the documents leave room; seconds."""

    batch: int = 3
    keepalive: float = 1.0
    settles: float = 0.4
    """Until a LATEST subscription sees what is published; about 3 s in live orgs."""
    starves: float = 60.0


class Failure(Exception):
    """The end of a call: a status, and the code for the trailer; without a code there is no trailer."""

    def __init__(self, status: grpc.StatusCode, code: str | None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


def unauthenticated(code: str) -> Failure:
    return Failure(grpc.StatusCode.UNAUTHENTICATED, f"service.auth.{code}")


def invalid(code: str) -> Failure:
    return Failure(grpc.StatusCode.INVALID_ARGUMENT, code)


def broken() -> Failure:
    """A connection that is lost: no trailer."""
    return Failure(grpc.StatusCode.UNAVAILABLE, None)


@dataclass
class Stream:
    """One open Subscribe call."""

    topic_name: str
    topic: Topic
    position: int
    credit: int = 0
    ending: Failure | None = None
    closed: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    requested_at: list[float] = field(default_factory=list)

    def take(self, asked: Any) -> None:
        """Add what a later FetchRequest asks for."""
        if asked.topic_name not in ("", self.topic_name):
            raise invalid("subscription.fetch.topic.mismatch")
        if asked.replay_preset or asked.replay_id:
            raise invalid("subscription.fetch.replay.repeated")
        self.grant(asked)

    def grant(self, asked: Any) -> None:
        """Add credit, 100 at most (pubsub_api.proto, FetchRequest)."""
        if asked.auth_refresh:
            raise unauthenticated("refresh.invalid")
        if asked.num_requested < 1:
            raise invalid("subscription.fetch.requested.events.invalid")
        now = time.monotonic()
        self.requested_at = [at for at in self.requested_at if at > now - 10] + [now]
        if len(self.requested_at) > MOST_REQUESTS:
            raise Failure(grpc.StatusCode.UNAVAILABLE, "service.protection.stream.limit.triggered")
        self.credit = min(MOST_CREDIT, self.credit + asked.num_requested)
        self.woken.set()


class PubSub:
    """The service of one org; a test ends its streams, and sees what they asked for."""

    def __init__(self, org: Org, bus: Bus, pace: Pace) -> None:
        self.org = org
        self.bus = bus
        self.pace = pace
        self.endpoint = ""
        self.opened: list[Any] = []
        """The first FetchRequest of every stream."""
        self.streams: list[Stream] = []
        self.schemas_read: list[str] = []
        self.unreadable: set[str] = set()
        """Topics that the user has no right to."""
        self.omitted: set[str] = set()
        """Names of events that a channel of several entities leaves out: the user has no right to theirs."""

    def end_streams(self, failure: Failure) -> None:
        """End every open stream."""
        for stream in self.streams:
            stream.ending = failure
            stream.woken.set()

    async def get_topic(self, asked: Any, context: Any) -> Any:
        """Tell of a topic; one with events of several schemas has no schema id."""
        with_id = {"topic_name": asked.topic_name, "tenant_guid": f"core/second/{ORG_ID}", "rpc_id": _rpc()}
        try:
            self._admit(context)
            topic = self._topic(asked.topic_name)
        except Failure as failure:
            await _abort(context, failure)
        may = asked.topic_name not in self.unreadable
        return message("TopicInfo")(**with_id, can_subscribe=may, schema_id=topic.schema_id)

    async def get_schema(self, asked: Any, context: Any) -> Any:
        """Tell of a schema."""
        try:
            self._admit(context)
            text = self._schema(asked.schema_id)
        except Failure as failure:
            await _abort(context, failure)
        self.schemas_read.append(asked.schema_id)
        return message("SchemaInfo")(schema_json=text, schema_id=asked.schema_id, rpc_id=_rpc())

    async def subscribe(self, _requests: Any, context: Any) -> None:
        """Serve a stream to its end."""
        try:
            self._admit(context)
            asked = await context.read()
            if asked is grpc.aio.EOF:
                return
            self.opened.append(asked)
            stream = await self._open(asked)
            reading = asyncio.create_task(_read(stream, context))
            self.streams.append(stream)
            stream.topic.watchers.add(stream.woken)
            try:
                await self._serve(stream, context)
            finally:
                reading.cancel()
                self.streams.remove(stream)
                stream.topic.watchers.discard(stream.woken)
        except Failure as failure:
            await _abort(context, failure)

    async def _open(self, asked: Any) -> Stream:
        topic = self._topic(asked.topic_name)
        if asked.topic_name in self.unreadable:
            raise Failure(grpc.StatusCode.PERMISSION_DENIED, "subscription.topic.cannot.subscribe")
        self._deliver(0)
        if asked.replay_preset == CUSTOM:
            if not asked.replay_id:
                raise invalid("subscription.fetch.replayid.validation.failed")
            position = topic.position(asked.replay_id)
            if position is None:
                raise invalid("subscription.fetch.replayid.corrupted")
        elif asked.replay_preset == EARLIEST:
            position = topic.start
        else:
            await asyncio.sleep(self.pace.settles)
            position = topic.end
        stream = Stream(asked.topic_name, topic, position)
        stream.grant(asked)
        return stream

    def _deliver(self, count: int) -> None:
        """Count deliveries; at the end of the allocation every subscription ends."""
        if self.org.deliveries is not None:
            if self.org.deliveries[0] >= self.org.deliveries[1]:
                raise Failure(grpc.StatusCode.UNAVAILABLE, "subscription.limit.exceeded")
            self.org.deliveries[0] += count

    async def _serve(self, stream: Stream, context: Any) -> None:
        starved_at = 0.0
        while not stream.closed:
            stream.woken.clear()
            if stream.ending:
                raise stream.ending
            if events := stream.topic.after(stream.position, min(stream.credit, self.pace.batch)):
                stream.position += len(events)
                if seen := [event for event in events if event.name not in self.omitted]:
                    self._deliver(len(seen))
                    stream.credit -= len(seen)
                    starved_at = time.monotonic() + self.pace.starves
                    await context.write(_response(stream, seen))
                continue
            within = self.pace.keepalive if stream.credit else max(starved_at - time.monotonic(), 0)
            try:
                await asyncio.wait_for(stream.woken.wait(), within)
            except TimeoutError:
                if not stream.credit:
                    return
                await context.write(_response(stream, []))

    def _admit(self, context: Any) -> None:
        told = dict(context.invocation_metadata())
        if (told.get("tenantid"), told.get("instanceurl")) != (ORG_ID, self.org.instance_url):
            raise unauthenticated("headers.invalid")
        if not self.org.knows(told.get("accesstoken", "")):
            raise unauthenticated("error")

    def _schema(self, schema_id: str) -> str:
        if not schema_id:
            raise invalid("schema.validation.failed")
        if schema_id not in self.bus.schemas:
            raise Failure(grpc.StatusCode.NOT_FOUND, "schema.meta.permission")
        return self.bus.schemas[schema_id]

    def _topic(self, name: str) -> Topic:
        if name not in self.bus.topics:
            raise Failure(grpc.StatusCode.NOT_FOUND, "topic.not.found")
        return self.bus.topics[name]


async def _read(stream: Stream, context: Any) -> None:
    try:
        while (asked := await context.read()) is not grpc.aio.EOF:
            stream.take(asked)
        stream.closed = True
    except Failure as failure:
        stream.ending = failure
    stream.woken.set()


def _response(stream: Stream, events: list[Any]) -> Any:
    producer = message("ProducerEvent")
    latest = events[-1].replay_id if events else stream.topic.id_of(stream.position)
    return message("FetchResponse")(
        events=[
            message("ConsumerEvent")(
                event=producer(id=event.uuid, schema_id=event.schema_id, payload=event.payload),
                replay_id=event.replay_id,
            )
            for event in events
        ],
        latest_replay_id=latest,
        rpc_id=_rpc(),
        pending_num_requested=stream.credit,
    )


def _rpc() -> str:
    return str(uuid.uuid4())


async def _abort(context: Any, failure: Failure) -> None:
    if failure.code is None:
        await context.abort(failure.status, "connection lost")
    trailers = {"error-code": f"sfdc.platform.eventbus.grpc.{failure.code}", "rpc-id": _rpc(), "type": "sfdc"}
    await context.abort(
        failure.status, f"{failure.code}. rpcId: {trailers['rpc-id']}", tuple(trailers.items())
    )


@asynccontextmanager
async def streaming(org: Org, *topics: str, pace: Pace | None = None) -> AsyncIterator[PubSub]:
    """Serve the Pub/Sub API of an org on a port of this machine."""
    service = PubSub(org, Bus(*topics), pace or Pace())
    server = grpc.aio.server()
    handlers = {
        "GetTopic": _handler(grpc.unary_unary_rpc_method_handler, service.get_topic, "TopicRequest"),
        "GetSchema": _handler(grpc.unary_unary_rpc_method_handler, service.get_schema, "SchemaRequest"),
        "Subscribe": _handler(grpc.stream_stream_rpc_method_handler, service.subscribe, "FetchRequest"),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    service.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield service
    finally:
        await server.stop(None)


def _handler(kind: Any, method: Any, request: str) -> Any:
    return kind(
        method,
        request_deserializer=message(request).FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )
