"""The HTTP server for pushes: `POST /v1/push`, answered 200 only after the commit, and `GET /healthz`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog
from aiohttp import HttpVersion10, HttpVersion11, http_parser, web

from rtsd.core.instant import Millis
from rtsd.core.payload import MAX_DOCUMENT, Changes, Push, parse_push
from rtsd.core.rate_limit import RateLimit
from rtsd.core.signature import verify
from rtsd.errors import CannotCommit, ConfigError, PushEncoded, PushError, StoreError, WrongOrg
from rtsd.gateway import connection
from rtsd.gateway.admission import RETRY_AFTER_S
from rtsd.gateway.body import BodyReader
from rtsd.gateway.connection import ConnectionContext, PushConnection, failure
from rtsd.gateway.listener import Listener, listen
from rtsd.gateway.meters import Meters
from rtsd.gateway.signature import signature_headers
from rtsd.sync.intake import Intake

SHUTDOWN_S = 2.0
"""The time a stop waits for requests in flight; a commit takes milliseconds, slow senders more."""
THREAD_ABOVE = 256 * 1024
"""Bytes beyond which a body is verified and parsed in a thread, to keep the event loop free."""
KEEP_ALIVE_S = 75.0
LINES_PER_SECOND = 50
"""Log lines about accepted pushes; each counts the pushes before it that had none."""

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


@dataclass(frozen=True, slots=True)
class Backend:
    """What takes the pushes."""

    intake: Intake
    on_refused: Callable[[], None]
    """Counts a push that is refused unread."""
    unwell: Callable[[], str | None]
    """Returns why no push can be committed; None if one can."""


class GatewayServer:
    """The gateway; `address` is the actual `host:port`.

    Its backend can change while it listens, as when a node that stood by leads; without one it answers 503.
    """

    def __init__(self, meters: Meters, now: Callable[[], Millis]) -> None:
        self._meters = meters
        self._now = now
        self.backend: Backend | None = None
        self._refused_because = "rtsd is starting"
        self._body_reader = BodyReader()
        self._accepted, self._rejected = RateLimit(LINES_PER_SECOND), RateLimit(connection.LINES_PER_SECOND)
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
        """Listen on an address, or on `sockets` that are already open. Raises AddressInUse, ConfigError."""
        require_compiled_parser()
        opened = sockets or listen(host, port)
        app = web.Application(middlewares=[_shape_errors])
        app.on_response_prepare.append(_hide_versions)
        app.router.add_post("/v1/push", self._push, expect_handler=_expect)
        app.router.add_get("/livez", self._livez)
        for path in ("/readyz", "/healthz"):
            app.router.add_get(path, self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner has no server after its setup")
        context = ConnectionContext(self._meters, self._now, self._count_refused)
        meters, admission = context.meters, context.admission
        meters.in_progress.set_function(lambda: admission.inside)
        meters.admitted.set_function(lambda: admission.limit)
        options = {**_OPTIONS, "logger": connection.quiet_logger()}

        def make(first: bytes, admitted: bool) -> PushConnection:  # noqa: FBT001 - a callback
            return PushConnection(context, server, first=first, admitted=admitted, **options)

        self._listener = Listener(opened, tls, context, make)
        self._listener.start()
        self.address = self._listener.address

    async def stop(self) -> None:
        """Finish the requests in flight and stop."""
        if self._listener is not None:
            await self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def refuse(self, reason: str) -> None:
        """Answer 503 until there is a backend."""
        self.backend, self._refused_because = None, reason

    async def _push(self, request: web.Request) -> web.Response:
        """Receive a push, and log its result without its content."""
        connection.of(request).headers_received()
        meters, started = self._meters, asyncio.get_running_loop().time()
        try:
            if request.headers.get("Content-Encoding"):
                raise PushEncoded("the body has a Content-Encoding", "send it as it was signed")
            body = await self._body_reader.read(request)
            try:
                if not connection.of(request).admit():
                    raise CannotCommit("too many pushes at once", retry_after_s=RETRY_AFTER_S)
                with meters.seconds.time():
                    push, fresh = await self._receive(request, body)
            finally:
                self._body_reader.release(body)
        except PushError as error:
            meters.pushes.labels(error.code).inc()
            self._log(self._rejected, error.code, started, status=error.http_status)
            if self.backend is not None:
                with suppress(StoreError):  # the push is rejected even if that cannot be reported
                    await self.backend.intake.on_rejected(error)
            return _rejection(error)
        accepted = len(push.changes) if isinstance(push, Changes) else 1
        result = "accepted" if fresh else "duplicate"
        meters.pushes.labels(result).inc()
        self._log(self._accepted, result, started, kind=type(push).__name__.lower(), changes=accepted)
        meters.changes.inc(accepted if fresh else 0)
        response = {"accepted": accepted} if fresh else {"accepted": 0, "duplicate": True}
        return web.Response(body=msgspec.json.encode(response), content_type="application/json")

    def _log(self, rate_limit: RateLimit, result: str, started: float, **more: object) -> None:
        suppressed = rate_limit.admit(self._now())
        if suppressed is not None:
            ms = round((asyncio.get_running_loop().time() - started) * 1000, 1)
            log.info("push", result=result, ms=ms, held_back=suppressed or None, **more)

    async def _receive(self, request: web.Request, body: bytes) -> tuple[Push, bool]:
        """Verify, parse and store a push; return whether it is new."""
        intake = self._backend().intake
        now = self._now()
        signed = signature_headers(request.headers)

        def check() -> Push:
            verify(intake.secrets(), signed, body, now)
            return parse_push(body)

        if len(body) > THREAD_ABOVE:
            push = await asyncio.to_thread(check)
        else:
            push = check()
        connection.of(request).proven()
        org_id = intake.org_id()
        if org_id is not None and push.org != org_id:
            raise WrongOrg(
                f"correctly signed, but sent by org {push.org}: a copy of this org is pushing to it",
                "in that sandbox, clear Token__c in RTS_Settings__c",
            )
        fresh = await intake.inbox.append(intake.arrival(signed.webhook_id, push, now))
        intake.on_push(push, now, int(signed.timestamp) * 1000)
        return push, fresh

    def _backend(self) -> Backend:
        """Return what takes a push now. Raises CannotCommit if nothing can."""
        if self.backend is None:
            raise CannotCommit(self._refused_because, "the sender tries again")
        return self.backend

    def _count_refused(self) -> None:
        if self.backend is not None:
            self.backend.on_refused()

    async def _livez(self, request: web.Request) -> web.Response:
        return _told(request, well=True)

    @property
    def is_ready(self) -> bool:
        """Whether a push can be committed now."""
        return self.backend is not None and self.backend.unwell() is None

    async def _readyz(self, request: web.Request) -> web.Response:
        return _told(request, well=self.is_ready)


def _told(request: web.Request, *, well: bool) -> web.Response:
    connection.of(request).headers_received()
    response = web.Response(text="ok" if well else "unavailable", status=200 if well else 503)
    response.force_close()  # only senders of signed pushes keep their connection
    return response


@web.middleware
async def _shape_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the router's errors the gateway's error format; leave HTTP/0.9 without an answer."""
    if request.version < HttpVersion10:  # whoever sends it could not tell an error from a document
        connection.of(request).refuse()
        raise ConnectionError("HTTP/0.9")
    try:
        return await handler(request)
    except web.HTTPException as error:
        name = type(error).__name__.removeprefix("HTTP")
        response = failure(name, "use POST /v1/push or GET /healthz", error.status)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        response.force_close()
        return response
    finally:
        connection.of(request).answered()


def require_compiled_parser(parser: type = http_parser.HttpRequestParser) -> None:
    """Reject aiohttp's pure Python parser, which had request-smuggling holes. Raises ConfigError."""
    if parser is http_parser.HttpRequestParserPy:
        raise ConfigError(
            "aiohttp's compiled HTTP parser is missing",
            "unset AIOHTTP_NO_EXTENSIONS, or install aiohttp's wheel",
        )


async def _hide_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """Replace aiohttp's Server header, which reveals versions."""
    response.headers["Server"] = "rtsd"


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect: 100-continue` with a request for the body, unless it is too large."""
    if request.headers["Expect"].lower() != "100-continue":
        response = failure("ExpectationFailed", "only Expect: 100-continue is supported", 417)
        response.force_close()
        return response
    if (request.content_length or 0) <= MAX_DOCUMENT and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response itself has not started
    return None


def _rejection(error: PushError) -> web.Response:
    response = failure(error.code, str(error), error.http_status)
    if isinstance(error, CannotCommit):
        response.headers["Retry-After"] = str(error.retry_after_s)
    else:
        response.force_close()
    return response
