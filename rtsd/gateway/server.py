"""The HTTP door for pushes: `POST /v1/push`, answered 200 only after the commit, and `GET /healthz`."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog
from aiohttp import HttpVersion11, http_parser, web

from rtsd.core.instant import Millis
from rtsd.core.payload import Changes, Push, encode_push, parse_push
from rtsd.core.rate_limit import RateLimit
from rtsd.errors import CannotCommit, ConfigError, PushEncoded, PushError, StoreError, WrongOrg
from rtsd.gateway import connection, signature
from rtsd.gateway.body import MOST, Bodies
from rtsd.gateway.connection import Connection, House, failure
from rtsd.gateway.listener import Listener, listen
from rtsd.gateway.meters import Meters
from rtsd.store.inbox import Arrival, Inbox

SHUTDOWN_S = 2.0
"""How long a stop waits for requests in flight; a commit takes milliseconds, the rest is a slow sender."""
LARGE = 256 * 1024
"""Bytes that are verified and read in a thread, while the loop goes on."""
KEEP_ALIVE_S = 75.0
LINES_A_SECOND = 50
"""Log lines about pushes taken; the next one says how many had none."""

log = structlog.get_logger("rtsd.gateway")

_OPTIONS = {
    "access_log": None,
    "auto_decompress": False,
    "keepalive_timeout": KEEP_ALIVE_S,
    "lingering_time": 1.0,
    "max_field_size": 8_190,
    "max_headers": 64,
    "max_line_size": 4_096,
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Intake:
    """What the gateway needs of the rest."""

    inbox: Inbox
    secrets: Callable[[], Sequence[bytes]]
    """All that are accepted now: a rotation has two for a while."""
    now: Callable[[], Millis]
    org_id: Callable[[], str | None]
    """The org whose pushes are taken; None while it is not known, then the engine judges."""
    protect: Callable[[Changes], None]
    """Applies the privacy rules, before anything reaches the disk."""
    on_push: Callable[[Push, Millis], Awaitable[None]]
    on_rejected: Callable[[PushError], Awaitable[None]]
    healthy: Callable[[], bool]
    meters: Meters


class GatewayServer:
    """The listening gateway; `address` is `host:port` with the port that was given."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bodies = Bodies()
        self._taken, self._refused = RateLimit(LINES_A_SECOND), RateLimit(connection.LINES_A_SECOND)
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self.address: str | None = None

    async def start(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """Listen at an address, or on `sockets` that somebody opened already. Raises AddressInUse."""
        require_compiled_parser()
        opened = sockets or listen(host, port)
        app = web.Application(middlewares=[_shaped])
        app.on_response_prepare.append(_unnamed)
        app.router.add_post("/v1/push", self._push, expect_handler=_expect)
        app.router.add_get("/healthz", self._healthz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner has no server after its setup")
        house = House(self._intake.meters, self._intake.now)
        options = {**_OPTIONS, "logger": connection.quiet_logger()}
        self._listener = Listener(opened, tls, house, lambda: Connection(house, server, **options))
        self._listener.start()
        self.address = self._listener.address

    async def stop(self) -> None:
        """Stop listening, after the requests in flight."""
        if self._listener is not None:
            await self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _push(self, request: web.Request) -> web.Response:
        """Take a push, and log it in one line, without a byte of it."""
        connection.of(request).begun()
        meters, began = self._intake.meters, time.monotonic()
        try:
            if request.headers.get("Content-Encoding"):
                raise PushEncoded("the body has a Content-Encoding", "send it as it was signed")
            async with self._bodies.read(request) as body:
                with meters.seconds.time():
                    push, fresh = await self._take(request, body)
        except PushError as error:
            meters.pushes.labels(error.code).inc()
            self._note(self._refused, error.code, began, status=error.http_status)
            with suppress(StoreError):  # a refusal that cannot be written down is one all the same
                await self._intake.on_rejected(error)
            return _refusal(error)
        accepted = len(push.changes) if isinstance(push, Changes) else 1
        result = "accepted" if fresh else "duplicate"
        meters.pushes.labels(result).inc()
        self._note(self._taken, result, began, kind=type(push).__name__.lower(), changes=accepted)
        meters.changes.inc(accepted if fresh else 0)
        answer = {"accepted": accepted} if fresh else {"accepted": 0, "duplicate": True}
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    def _note(self, rate_limit: RateLimit, result: str, began: float, **more: object) -> None:
        held_back = rate_limit.admit(self._intake.now())
        if held_back is not None:
            ms = round((time.monotonic() - began) * 1000, 1)
            log.info("push", result=result, ms=ms, held_back=held_back or None, **more)

    async def _take(self, request: web.Request, body: bytes) -> tuple[Push, bool]:
        """Verify and read a push, and make it durable."""
        intake = self._intake
        now = intake.now()
        stamped = signature.Stamp.of(request.headers)

        def judge() -> Push:
            signature.verify(intake.secrets(), stamped, body, now)
            return parse_push(body)

        if len(body) > LARGE:
            push = await asyncio.to_thread(judge)
        else:
            push = judge()
        connection.of(request).proven()
        org_id = intake.org_id()
        if org_id is not None and push.org != org_id:
            raise WrongOrg(
                f"signed rightly, but sent by org {push.org}: a copy of this org is pushing to it",
                "in that sandbox, clear Token__c in RTS_Settings__c",
            )
        if isinstance(push, Changes):
            intake.protect(push)
        fresh = await intake.inbox.append(Arrival(stamped.webhook_id, now, encode_push(push)))
        with suppress(StoreError):  # it is on the disk: what cannot be noted now does not take that back
            await intake.on_push(push, now)
        return push, fresh

    async def _healthz(self, request: web.Request) -> web.Response:
        connection.of(request).begun()
        healthy = self._intake.healthy()
        answer = web.Response(text="ok" if healthy else "unavailable", status=200 if healthy else 503)
        answer.force_close()  # whoever has not signed anything does not stay
        return answer


@web.middleware
async def _shaped(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give what the router refuses the shape of every error."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        name = type(refused).__name__.removeprefix("HTTP")
        answer = failure(name, "the gateway has POST /v1/push and GET /healthz", refused.status)
        if "Allow" in refused.headers:
            answer.headers["Allow"] = refused.headers["Allow"]
        answer.force_close()
        return answer


def require_compiled_parser(parser: type = http_parser.HttpRequestParser) -> None:
    """Refuse aiohttp's pure Python parser: it is the one that had the smuggling holes. Raises ConfigError."""
    if parser is http_parser.HttpRequestParserPy:
        raise ConfigError(
            "aiohttp's compiled HTTP parser is missing",
            "unset AIOHTTP_NO_EXTENSIONS, or install aiohttp's wheel",
        )


async def _unnamed(_request: web.Request, answer: web.StreamResponse) -> None:
    """Tell nobody which versions of what answer here."""
    answer.headers["Server"] = "rtsd"


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Ask for the body where a sender waits to be asked (`Expect: 100-continue`), unless it is too large."""
    if request.headers["Expect"].lower() != "100-continue":
        answer = failure("ExpectationFailed", "only Expect: 100-continue is known", 417)
        answer.force_close()
        return answer
    if (request.content_length or 0) <= MOST and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
    return None


def _refusal(error: PushError) -> web.Response:
    answer = failure(error.code, str(error), error.http_status)
    if isinstance(error, CannotCommit):
        answer.headers["Retry-After"] = str(error.retry_after_s)
    else:
        answer.force_close()
    return answer
