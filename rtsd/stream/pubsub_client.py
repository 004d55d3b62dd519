"""The client of the Pub/Sub API: one connection, its calls, and a subscription's two directions.

Every call carries the session in its metadata: access token, instance URL and the org's 18-character id.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import msgspec

from rtsd.salesforce.login import Token
from rtsd.salesforce.transport import tls_context
from rtsd.stream import pubsub_pb2 as pb
from rtsd.stream.endings import StreamEnded, ending_of, lost

_SERVICE = "/eventbus.v1.PubSub"
_CALL_S = 30.0
_LARGEST = 128 << 20
"""Bytes of a response: 100 events of 1 MB at most. With gRPC's own 4 MB a stream that has fallen behind would
end at the same events each time, should Salesforce send as much as it was asked for."""
_OPTIONS = (
    ("grpc.max_receive_message_length", _LARGEST),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),  # a new connection does not wait for the back-off of an old one
)


class PubSubClient:
    """Calls over one connection, made with one session."""

    def __init__(self, channel: grpc.aio.Channel, token: Token) -> None:
        self._channel = channel
        self._metadata = (
            ("accesstoken", token.access_token),
            ("instanceurl", token.instance_url),
            ("tenantid", token.org_id),
        )

    async def may_subscribe(self, topic: str) -> bool:
        """Return whether the user may subscribe to a topic, which exists. Raises StreamEnded."""
        call = self._channel.unary_unary(
            f"{_SERVICE}/GetTopic", pb.TopicRequest.SerializeToString, pb.TopicInfo.FromString
        )
        with _endings(topic):
            info = await call(pb.TopicRequest(topic_name=topic), metadata=self._metadata, timeout=_CALL_S)
        return info.can_subscribe

    async def schema(self, schema_id: str, topic: str) -> dict[str, Any]:
        """Return a schema of a topic's events. Raises StreamEnded, or ValueError for one that is not JSON."""
        call = self._channel.unary_unary(
            f"{_SERVICE}/GetSchema", pb.SchemaRequest.SerializeToString, pb.SchemaInfo.FromString
        )
        with _endings(topic):
            info = await call(pb.SchemaRequest(schema_id=schema_id), metadata=self._metadata, timeout=_CALL_S)
        try:
            return msgspec.json.decode(info.schema_json, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise ValueError(f"the schema {schema_id} is not JSON: {error}") from error

    @asynccontextmanager
    async def subscription(self, topic: str, replay_id: bytes | None) -> AsyncIterator[Subscription]:
        """Open a subscription after `replay_id`, or at the end of the bus. Raises StreamEnded."""
        subscribe = self._channel.stream_stream(
            f"{_SERVICE}/Subscribe", pb.FetchRequest.SerializeToString, pb.FetchResponse.FromString
        )
        call = subscribe(metadata=self._metadata)
        first = pb.FetchRequest(topic_name=topic, replay_preset=pb.LATEST)
        if replay_id is not None:
            first = pb.FetchRequest(topic_name=topic, replay_preset=pb.CUSTOM, replay_id=replay_id)
        subscription = Subscription(call, first, topic)
        try:
            yield subscription
        finally:
            await subscription.close()


class Subscription:
    """An open subscription. Responses are read ahead: to cancel a read would end the stream."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Any, Any], first: pb.FetchRequest, topic: str) -> None:
        self._call = call
        self._topic = topic
        self._first: pb.FetchRequest | None = first
        self._responses: asyncio.Queue[pb.FetchResponse | StreamEnded] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read(), name="pub/sub responses")

    async def ask(self, count: int) -> None:
        """Ask for `count` more events. Raises StreamEnded."""
        request = self._first or pb.FetchRequest()
        request.num_requested = count
        self._first = None
        try:
            async with asyncio.timeout(_CALL_S):
                with _endings(self._topic):
                    await self._call.write(request)
        except TimeoutError:
            raise lost("Salesforce takes no more requests on this stream") from None
        except asyncio.InvalidStateError:  # the stream has ended: its reader knows how
            return

    async def response(self, within_s: float) -> pb.FetchResponse | None:
        """Return the next response, or None if none comes in time. Raises StreamEnded."""
        try:
            async with asyncio.timeout(within_s):
                found = await self._responses.get()
        except TimeoutError:
            return None
        if isinstance(found, StreamEnded):
            raise found
        return found

    async def close(self) -> None:
        """End the stream."""
        self._reader.cancel()
        self._call.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)  # a suppressed error might be our own end

    async def _read(self) -> None:
        try:
            with _endings(self._topic):
                while isinstance(response := await self._call.read(), pb.FetchResponse):
                    self._responses.put_nowait(response)
            self._responses.put_nowait(lost("Salesforce closed the stream"))
        except StreamEnded as ended:
            self._responses.put_nowait(ended)


@contextmanager
def _endings(topic: str) -> Iterator[None]:
    """Turn gRPC's errors into StreamEnded, with the advice for the topic."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        details = error.details() or error.code().name
        raise StreamEnded(ending_of(str(trailers.get("error-code", "")), details, topic)) from error


@asynccontextmanager
async def connected(endpoint: str, ca_file: str, token: Token) -> AsyncIterator[PubSubClient]:
    """Open a connection to `host:port` by TLS, or to `http://host:port` in plain text.

    TLS trusts the system's roots and those of `ca_file`, not grpcio's own, which lag behind. Raises
    ConfigError for an unusable `ca_file`.
    """
    if endpoint.startswith("http://"):
        channel = grpc.aio.insecure_channel(endpoint.removeprefix("http://"), options=_OPTIONS)
    else:
        roots = tls_context(ca_file).get_ca_certs(binary_form=True)
        pem = "".join(map(ssl.DER_cert_to_PEM_cert, roots)).encode() or None
        channel = grpc.aio.secure_channel(endpoint, grpc.ssl_channel_credentials(pem), options=_OPTIONS)
    try:
        yield PubSubClient(channel, token)
    finally:
        await channel.close()
