"""A plain client of the Pub/Sub API: generated messages, grpcio and fastavro, without any of rtsd's logic."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fastavro
import grpc

from rtsd.stream import pubsub_pb2 as pb
from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api
from tests.support.waiting import eventually

SERVICE = "/eventbus.v1.PubSub"
TOPIC = "/data/ChangeEvents"
SELECT = "/services/data/v66.0/tooling/sobjects/PlatformEventChannelMember"
WITHIN_S = 10.0
PREFIX = "sfdc.platform.eventbus.grpc."


class Stream:
    """An open subscription."""

    def __init__(self, client: BusClient, call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
        self._client = client
        self.call = call

    async def ask(self, count: int, topic: str = "") -> None:
        """Ask for more events."""
        await self.call.write(pb.FetchRequest(topic_name=topic, num_requested=count))

    async def response(self) -> pb.FetchResponse:
        """The next response; AssertionError if the stream ended."""
        async with asyncio.timeout(WITHIN_S):
            found = await self.call.read()
        assert isinstance(found, pb.FetchResponse), "the stream ended"
        return found

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The next events, decoded, with their replay ids as `_replay_id`."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            events = (await self.response()).events
            found += [{**await self._client.decode(e), "_replay_id": e.replay_id} for e in events]
        return found

    async def ended(self) -> tuple[str, str]:
        """The status and the code in the trailers with which the stream ends."""
        async with asyncio.timeout(WITHIN_S):
            try:
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError as error:
                return code_of(error)
        return "OK", ""


def code_of(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """The status and the code in the trailers."""
    trailers = dict(error.trailing_metadata() or ())
    return error.code().name, str(trailers.get("error-code", "")).removeprefix(PREFIX)


class BusClient:
    """Calls of one user."""

    def __init__(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
        self._channel = channel
        self.metadata = metadata

    async def topic(self, name: str) -> pb.TopicInfo:
        """GetTopic."""
        call = self._channel.unary_unary(
            f"{SERVICE}/GetTopic", pb.TopicRequest.SerializeToString, pb.TopicInfo.FromString
        )
        return await call(pb.TopicRequest(topic_name=name), metadata=self.metadata, timeout=WITHIN_S)

    async def schema(self, schema_id: str) -> pb.SchemaInfo:
        """GetSchema."""
        call = self._channel.unary_unary(
            f"{SERVICE}/GetSchema", pb.SchemaRequest.SerializeToString, pb.SchemaInfo.FromString
        )
        return await call(pb.SchemaRequest(schema_id=schema_id), metadata=self.metadata, timeout=WITHIN_S)

    async def decode(self, event: pb.ConsumerEvent) -> dict[str, Any]:
        """An event's values."""
        schema = json.loads((await self.schema(event.event.schema_id)).schema_json)
        payload = io.BytesIO(event.event.payload)
        found = fastavro.schemaless_reader(payload, fastavro.parse_schema(schema), None)
        assert isinstance(found, dict)
        return found

    async def subscribe(
        self, topic: str, count: int = 100, *, preset: pb.ReplayPreset = pb.LATEST, replay_id: bytes = b""
    ) -> Stream:
        """Open a subscription."""
        subscribe = self._channel.stream_stream(
            f"{SERVICE}/Subscribe", pb.FetchRequest.SerializeToString, pb.FetchResponse.FromString
        )
        call = subscribe(metadata=self.metadata)
        request = pb.FetchRequest(
            topic_name=topic, replay_preset=preset, replay_id=replay_id, num_requested=count
        )
        await call.write(request)
        return Stream(self, call)


@asynccontextmanager
async def bus_client(org: SimulatedOrg, token: str) -> AsyncIterator[BusClient]:
    """A client with the token of a session."""
    metadata = (("accesstoken", token), ("instanceurl", org.url), ("tenantid", org.info["org_id"]))
    async with grpc.aio.insecure_channel(org.info["pubsub"].removeprefix("http://")) as channel:
        yield BusClient(channel, metadata)


def member(name: str, channel: str = "ChangeEvents") -> dict[str, Any]:
    """The Tooling document that selects an object for a channel."""
    event = f"{name.removesuffix('c')}ChangeEvent" if name.endswith("__c") else f"{name}ChangeEvent"
    return {
        "FullName": f"{channel}_{event}",
        "Metadata": {"eventChannel": channel, "selectedEntity": event},
    }


async def select(api: Api, name: str, channel: str = "ChangeEvents") -> tuple[int, object]:
    """Select an object for a channel."""
    status, _, answer = await api.call("POST", SELECT, json=member(name, channel))
    return status, answer


async def contacts(org: SimulatedOrg) -> list[str]:
    """The ids of the contacts."""
    return [row["Id"] async for row in org.rows("Contact")]


async def edit(org: SimulatedOrg, record_id: str, **values: object) -> None:
    """Change a contact."""
    await org.dml("update", "Contact", rows=[{"Id": record_id, **values}])


async def listening(org: SimulatedOrg, bus: BusClient, topic: str = TOPIC, count: int = 100) -> Stream:
    """A stream that is certainly open."""
    readers = org.server.bus.readers if org.server else 0
    stream = await bus.subscribe(topic, count)
    await eventually(lambda: org.server and org.server.bus.readers > readers, "the stream is open")
    return stream


def listed(schema: dict[str, Any], bitmaps: list[str]) -> set[str]:
    """The fields that bitmaps list, parts as `Compound.Part`, as Salesforce's sample code reads them."""
    found = set()
    for bitmap in bitmaps:
        place, _, digits = bitmap.rpartition("-")
        fields = schema["fields"]
        prefix = ""
        if place:
            parent = fields[int(place)]
            prefix = f"{parent['name']}."
            record = parent["type"][-1]
            fields = record["fields"] if isinstance(record, dict) else _defined(schema, record)
        number = int(digits, 16)
        found |= {prefix + field["name"] for bit, field in enumerate(fields) if number >> bit & 1}
    return found


def _defined(schema: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The fields of a record that an earlier field defines."""
    records = [kind for field in schema["fields"] for kind in field["type"] if isinstance(kind, dict)]
    return next(list(record["fields"]) for record in records if record["name"] == name)
