"""The service eventbus.v1.PubSub: GetTopic, GetSchema and Subscribe; plaintext, on 127.0.0.1."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import grpc

from rtssim.pubsub.access import Access
from rtssim.pubsub.encoding import Encoder
from rtssim.pubsub.messages import PACKAGE, message
from rtssim.pubsub.refusals import Refused
from rtssim.pubsub.stream import BrokenStream, EventStream, StreamParts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from rtssim.bus.channels import Channels
    from rtssim.bus.event_bus import EventBus
    from rtssim.faults import Faults
    from rtssim.limits import Limits
    from rtssim.login.accounts import Accounts, Session
    from rtssim.org import Org
    from rtssim.switches import EventSwitches

SERVICE = f"{PACKAGE}.PubSub"
TopicInfo, SchemaInfo = message("TopicInfo"), message("SchemaInfo")
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients ping every 30 s
    ("grpc.http2.max_ping_strikes", 0),
)
_RPC_FAULTS = ("rpc_error", "rpc_broken")


class PubSub:
    """The service; `url` is where it listens."""

    def __init__(
        self,
        org: Org,
        accounts: Accounts,
        limits: Limits,
        faults: Faults,
        *,
        bus: EventBus,
        channels: Channels,
        switches: EventSwitches,
    ) -> None:
        self._org = org
        self._faults = faults
        self._channels = channels
        self._access = Access(org, accounts, channels)
        encoder = Encoder(bus, switches)
        self._parts = StreamParts(bus, self._access, encoder, limits, faults, switches)
        self._server: grpc.aio.Server | None = None
        self.url = ""

    async def start(self, port: int = 0) -> str:
        """Listen; return the URL."""
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((self._handler(),))
        bound = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()
        self.url = f"http://127.0.0.1:{bound}"
        return self.url

    async def stop(self) -> None:
        """End all streams."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    def _handler(self) -> grpc.GenericRpcHandler:
        def unary(answer: Callable[..., Awaitable[Any]], request: str) -> grpc.RpcMethodHandler[Any, Any]:
            return grpc.unary_unary_rpc_method_handler(
                answer,
                request_deserializer=message(request).FromString,
                response_serializer=lambda response: response.SerializeToString(),
            )

        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetTopic": unary(self.get_topic, "TopicRequest"),
            "GetSchema": unary(self.get_schema, "SchemaRequest"),
            "Subscribe": grpc.stream_stream_rpc_method_handler(
                self.subscribe,
                request_deserializer=message("FetchRequest").FromString,
                response_serializer=lambda response: response.SerializeToString(),
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    # -- calls --------------------------------------------------------------------------------------
    async def get_topic(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Answer GetTopic."""
        return await self._guarded(context, self._get_topic, request)

    async def get_schema(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Answer GetSchema."""
        return await self._guarded(context, self._get_schema, request)

    async def subscribe(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Serve a stream."""

        async def serve(session: Session, requests: AsyncIterator[Any]) -> None:
            await EventStream(self._parts, session, context.write).run(requests)

        await self._guarded(context, serve, requests)

    async def _guarded(
        self, context: grpc.aio.ServicerContext[Any, Any], answer: Callable[..., Awaitable[Any]], request: Any
    ) -> Any:
        """Answer a call of a valid session; refusals end it with their status and trailers."""
        try:
            return await answer(self._access.session(context.invocation_metadata()), request)
        except Refused as refusal:
            rpc_id = str(uuid.uuid4())
            text = f"{refusal.message} rpcId: {rpc_id}"
            await context.abort(refusal.status, text, refusal.trailers(rpc_id))
        except BrokenStream:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "")

    async def _get_topic(self, session: Session, request: Any) -> Any:
        self._hit("/GetTopic" + request.topic_name)
        topic = self._access.topic(request.topic_name, session.who)
        return TopicInfo(
            topic_name=topic.name,
            tenant_guid=self._org.org_id,
            can_publish=topic.is_platform_event,
            can_subscribe=True,
            schema_id=self._channels.schema(topic.single).id if topic.single else "",
            rpc_id=str(uuid.uuid4()),
        )

    async def _get_schema(self, _session: Session, request: Any) -> Any:
        self._hit("/GetSchema")
        schema = self._channels.schema_by_id(request.schema_id) if request.schema_id else None
        if schema is None:
            raise Refused("schema.validation.failed")
        return SchemaInfo(schema_json=schema.text, schema_id=schema.id, rpc_id=str(uuid.uuid4()))

    def _hit(self, path: str) -> None:
        fault = self._faults.hit(_RPC_FAULTS, path)
        if fault is not None and fault.kind == "rpc_broken":
            raise BrokenStream
        if fault is not None:
            raise Refused(str(fault.parameters.get("code", "service.unavailable")))
