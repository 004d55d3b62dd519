"""The org's HTTP server: builds the org's parts and serves them.

Handles everything that REST calls have in common: session, quota, headers, compression, injected faults.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import struct
import zlib
from contextlib import suppress
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from rtssim.apex_package.installation import Channel, install_package
from rtssim.apex_package.publication import Publication
from rtssim.apex_package.pushes import ApexPackage
from rtssim.bus.change_events import ChangeEvents
from rtssim.bus.channels import Channels
from rtssim.bus.event_bus import EventBus
from rtssim.faults import HTML_PAGES, REFUSALS, Fault, Faults
from rtssim.interface import OrgError, not_found, session_expired
from rtssim.limits import Limits
from rtssim.login.accounts import Accounts
from rtssim.login.oauth import OAuth
from rtssim.login.soap import SoapLogin
from rtssim.metadata.deployments import Deployments
from rtssim.rest.bulk_jobs import BulkQueries
from rtssim.rest.composite import Composite
from rtssim.rest.query import Queries
from rtssim.rest.sobjects import SObjects
from rtssim.rest.tooling import Tooling
from rtssim.routing import JSON_TYPE, Call, Reply, Router, error_reply
from rtssim.switchboard.routes import Switchboard
from rtssim.switches import ApiSwitches, EventSwitches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from rtssim.login.accounts import Session
    from rtssim.org import Org
    from rtssim.pubsub.service import PubSub

OLDEST, RETIRED, NEWEST = 31, 7, 67  # v7.0 to v30.0 are retired, v67.0 is Summer '26
URI_AND_HEADERS = 16_384  # bytes (REST API guide, Limits)
COMPRESSED_FROM = 200  # bytes; compression makes smaller bodies larger
SETTLE_S = 0.05  # pause between checks for late commits


def version_list() -> list[dict[str, str]]:
    """Return the answer of `/services/data`, oldest first."""
    entries = []
    for number in range(OLDEST, NEWEST + 1):
        year, season = divmod(number - 62, 3)
        label = f"{('Winter', 'Spring', 'Summer')[season]} '{25 + year}"
        entries.append({"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"})
    return entries


class OrgServer:
    """An org on HTTP: `app` serves it; its parts are attributes, for tests in the same process."""

    def __init__(
        self,
        org: Org,
        *,
        switches: ApiSwitches | None = None,
        latency_s: float = 0.0,
        heartbeat_s: float = 900.0,
    ) -> None:
        self.org = org
        self.switches = switches or ApiSwitches()
        self.latency_s = latency_s
        self.faults = Faults()
        self.limits = Limits(org.clock, self.switches)
        self.accounts = Accounts(org, self.switches)
        self.event_switches = EventSwitches()
        self.bus = EventBus(org.clock, self.event_switches)
        self.channels = Channels(org, self.event_switches)
        self.change_events = ChangeEvents(org, self.bus, self.channels, self.faults, self.event_switches)
        self.pubsub: PubSub | None = None
        self.publication = Publication(
            org,
            self.bus,
            self.channels,
            self.faults,
            switches=self.event_switches,
            api_switches=self.switches,
        )
        self.package = ApexPackage(
            org,
            self.limits,
            self.faults,
            self.switches,
            publication=self.publication,
            heartbeat_s=heartbeat_s,
        )
        self.bulk = BulkQueries(org, self.limits, self.faults, self.switches)
        self.queries = Queries(org, self.switches)
        self.queries.before["eventbussubscriber"] = self.package.relay.before_query
        self.deployments = Deployments(org, self.package, self.faults, self.switches)
        self.router = Router()
        for part in (
            SObjects(org),
            self.queries,
            Composite(org, self.limits, self.router),
            self.bulk,
            self.limits,
            Tooling(org, self.queries, self.package, self.channels),
            self.deployments,
        ):
            part.routes(self.router)
        self.switchboard = Switchboard(self)
        self.app = self._app()
        self._settler: asyncio.Task[None] | None = None

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=100 * 1024 * 1024)
        app.router.add_get("/services/data", self._versions)
        app.router.add_get("/services/data/", self._versions)
        OAuth(self.org, self.accounts, self.limits, self.faults, self.switches).routes(app)
        SoapLogin(self.org, self.accounts, self.switches).routes(app)
        self.switchboard.routes(app)
        app.router.add_route("*", "/services/data/{rest:.+}", self._call)
        app.on_response_prepare.append(self._date)
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    async def _date(self, _request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Date every answer by the org's clock, those of logins and of the network edge, too."""
        response.headers["Date"] = format_datetime(self.org.clock.now(), usegmt=True)

    async def _start(self, _app: web.Application) -> None:
        await self.package.start()
        self._settler = asyncio.get_running_loop().create_task(self._settle())

    async def _stop(self, _app: web.Application) -> None:
        if self._settler is not None:
            self._settler.cancel()
        if self.pubsub is not None:
            await self.pubsub.stop()
        await self.switchboard.close()
        await self.package.close()
        self.bulk.close()

    async def _settle(self) -> None:
        """Commit late transactions when due, even if nobody reads."""
        while True:
            await asyncio.sleep(SETTLE_S)
            self.org.settle()

    async def _versions(self, request: web.Request) -> web.StreamResponse:
        if self.switches.versions_need_auth:
            try:
                self._session(request)
            except OrgError as error:
                return await self._answer(request, error_reply(error), None)
        return await self._answer(request, Reply(version_list()), None)

    async def start_pubsub(self, port: int = 0) -> str:
        """Serve the Pub/Sub API too; return its URL. Raises ImportError without its packages."""
        from rtssim.pubsub.service import PubSub  # noqa: PLC0415 - an org without it needs no gRPC

        self.pubsub = PubSub(
            self.org,
            self.accounts,
            self.limits,
            self.faults,
            bus=self.bus,
            channels=self.channels,
            switches=self.event_switches,
        )
        return await self.pubsub.start(port)

    def install_package(
        self, objects: Iterable[str] | None = None, *, channel: Channel = "gateway"
    ) -> list[str]:
        """Install the RTS package; return the objects with a trigger."""
        return install_package(self.org, self.package, objects, channel=channel)

    # -- calls --------------------------------------------------------------------------------------
    async def _call(self, request: web.Request) -> web.StreamResponse:
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        refusal = await self._edge_fault(request)
        if refusal is not None:
            return refusal
        body = await request.read()
        session = None
        try:
            session = self._session(request)
            reply = self._dispatch(request, body, session)
        except OrgError as error:
            reply = error_reply(error)
        return await self._answer(request, reply, session)

    def _session(self, request: web.Request) -> Session:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme not in ("Bearer", "OAuth") or not token:
            raise OrgError(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
        return self.accounts.session_of(token)

    def _dispatch(self, request: web.Request, body: bytes, session: Session) -> Reply:
        version, path = _split(request)
        _, _, kind = self.router.find(request.method, path)
        fault = self.faults.hit((*REFUSALS, "expire_session"), path)
        if fault is not None and fault.kind == "expire_session":
            session.alive = False
            raise session_expired()
        self.limits.take_api_call(kind)
        if fault is not None:
            raise REFUSALS[fault.kind]
        return self.router.dispatch(
            Call(request.method, path, request.query, request.headers, body, session, version)
        )

    async def _edge_fault(self, request: web.Request) -> web.StreamResponse | None:
        """Answer instead of the org, as its network edge and the network itself do."""
        size = len(request.raw_path) + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
        if size > URI_AND_HEADERS:
            return web.Response(status=414 if len(request.raw_path) > URI_AND_HEADERS // 2 else 431)
        fault = self.faults.hit((*HTML_PAGES, "406", "odd", "reset", "slow_answer"), request.path)
        if fault is None:
            return None
        if fault.kind == "slow_answer":
            await asyncio.sleep(fault.number("seconds", 2.0))
            return None
        if fault.kind == "406":
            return web.Response(status=406, reason="CustomNotAcceptable")
        if fault.kind == "reset":
            _reset(request)
            return web.Response(status=500)
        return _page(fault)

    # -- answers ------------------------------------------------------------------------------------
    async def _answer(
        self, request: web.Request, reply: Reply, session: Session | None
    ) -> web.StreamResponse:
        headers = dict(reply.headers)
        if session is not None:
            headers["Sforce-Limit-Info"] = self.limits.header()
        if reply.page is not None:
            return await self._stream(request, reply, headers)
        body = reply.encoded(pretty=request.headers.get("X-PrettyPrint") == "1")
        if body and "Content-Type" not in headers:
            headers["Content-Type"] = JSON_TYPE
        fault = self.faults.hit(("cut", "stall", "slow"), request.path) if body else None
        if len(body) >= COMPRESSED_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if fault is None:
            return web.Response(status=reply.status, body=body or None, headers=headers)
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.content_length = len(body)
        with suppress(ConnectionError):  # a client may leave
            await response.prepare(request)
            await _send_broken(request, response, iter([body]), fault, len(body))
        return response

    async def _stream(
        self, request: web.Request, reply: Reply, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Send a page of a Bulk result, compressed if the request accepts exactly `gzip`."""
        page = reply.page
        if page is None:
            raise TypeError("only a reply with a page can be streamed")
        wrong = self.faults.hit(("wrong_count", "no_locator"), request.path)
        if wrong is not None and wrong.kind == "no_locator":
            del headers["Sforce-Locator"]
        elif wrong is not None:
            headers["Sforce-NumberOfRecords"] = str(page.rows + 1)
        accepted = request.headers.get("Accept-Encoding", "")
        chunks = page.chunks()
        if accepted.strip() == "gzip" or (self.switches.bulk_gzip_lists and "gzip" in accepted):
            headers["Content-Encoding"] = "gzip"
            chunks = _compressed(chunks)
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.enable_chunked_encoding()
        fault = self.faults.hit(("cut", "stall", "slow"), request.path)
        with suppress(ConnectionError):  # a client may leave
            await response.prepare(request)
            if fault is not None:
                await _send_broken(request, response, chunks, fault, page.size)
                return response
            async for chunk in _read_ahead(chunks):
                await response.write(chunk)
            await response.write_eof()
        return response


def _split(request: web.Request) -> tuple[str, str]:
    """Return version and path of a call; raises `OrgError` for unknown and retired versions."""
    path = unquote(request.raw_path.partition("?")[0])
    match = re.fullmatch(r"/services/data/v(\d+)\.0((?:/[^/]+)*)/?", path)
    if match is None:  # also for a doubled slash
        raise not_found()
    number = int(match[1])
    if RETIRED <= number < OLDEST:
        raise OrgError(410, "UNSUPPORTED_API_VERSION", f"API version {number}.0 is retired")
    if not OLDEST <= number <= NEWEST:
        raise not_found()
    return f"{number}.0", match[2]


def _compressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)  # 31: with gzip's header
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


async def _read_ahead(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks, each produced in a thread while the previous is sent."""
    following = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
    try:
        while (chunk := await following) is not None:
            following = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
            yield chunk
    finally:
        following.cancel()


def _reset(request: web.Request) -> None:
    """Reset the connection (TCP RST)."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _send_broken(
    request: web.Request, response: web.StreamResponse, chunks: Iterator[bytes], fault: Fault, size: int
) -> None:
    """Send an answer with a fault: cut after some bytes, stalled, or slow."""
    left = int(fault.number("after_bytes", size // 2)) if fault.kind != "slow" else size + 1_000_000
    rate = int(fault.number("rate", 1)) if fault.kind == "slow" else 0
    for chunk in chunks:
        part = chunk[:left]
        left -= len(part)
        step = rate or len(part) or 1
        for start in range(0, len(part), step):
            await response.write(part[start : start + step])
            if rate:
                await asyncio.sleep(1)
        if left <= 0:
            break
    if fault.kind == "slow":
        await response.write_eof()
        return
    if fault.kind == "stall":
        await asyncio.sleep(fault.number("seconds", 3_600))
    else:
        await asyncio.sleep(0.01)  # let the written bytes leave before the reset
    _reset(request)


def _page(fault: Fault) -> web.Response:
    """An answer that is none of the API's."""
    if fault.kind == "odd":
        return web.Response(text=str(fault.parameters.get("body", "")), content_type="application/json")
    status, title = HTML_PAGES[fault.kind]
    text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return web.Response(status=status, text=text, content_type="text/html")
