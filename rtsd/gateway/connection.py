"""A connection to the gateway: aiohttp's, with a deadline for the first request and rtsd's error format."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from rtsd.core.instant import Millis
from rtsd.core.rate_limit import RateLimit
from rtsd.errors import place
from rtsd.gateway.admission import REFUSAL, Admission, is_whole
from rtsd.gateway.connection_limiter import ConnectionLimiter
from rtsd.gateway.cooldown import Cooldown
from rtsd.gateway.meters import Meters

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest
    from aiohttp.web_response import StreamResponse

HEADERS_DEADLINE_S = 5.0
"""The time from connecting to the end of the first request's headers."""
LINES_PER_SECOND = 5
"""Log lines of each kind that unauthenticated senders can cause."""

log = structlog.get_logger("rtsd.gateway")


class ConnectionContext:
    """The state shared by all connections: metrics, limits, log rate limits."""

    def __init__(self, meters: Meters, now: Callable[[], Millis], on_refused: Callable[[], None]) -> None:
        self.meters = meters
        self.limiter = ConnectionLimiter(meters)
        self.admission = Admission(asyncio.get_running_loop().time)
        self.cooldown = Cooldown()
        self._now = now
        self._on_refused = on_refused
        self._refused, self._malformed, self._bugs = (RateLimit(LINES_PER_SECOND) for _ in range(3))

    def refused(self) -> None:
        """Count and log a push that was refused unread."""
        self._on_refused()
        self.meters.pushes.labels("CannotCommit").inc()
        suppressed = self._refused.admit(self._now())
        if suppressed is not None:
            log.warning("push", result="CannotCommit", status=503, held_back=suppressed or None)

    def malformed(self, status: int) -> None:
        """Count and log bytes that were not an HTTP request, without logging them."""
        self.meters.pushes.labels("MalformedRequest").inc()
        suppressed = self._malformed.admit(self._now())
        if suppressed is not None:
            log.warning("not an HTTP request", status=status, held_back=suppressed or None)

    def bug(self, error: BaseException) -> None:
        """Log a bug with its place but without its text, which may contain payload."""
        suppressed = self._bugs.admit(self._now())
        if suppressed is None:
            return
        log.error("bug", error=type(error).__name__, where=place(error), held_back=suppressed or None)


class PushConnection(RequestHandler):
    """Counts as waiting in the limiter until a correctly signed push arrives (`proven`)."""

    def __init__(
        self, context: ConnectionContext, server: web.Server, *, first: bytes, admitted: bool, **options: Any
    ) -> None:
        """Begin with the bytes that were read already; `admitted`: whether they are an admitted push."""
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._context = context
        self._late: asyncio.TimerHandle | None = None
        self._first = first
        self._inside = admitted
        self._aligned = admitted or not first
        """Whether the parser has seen whole pushes only, one after the other's answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline, enter the limiter and parse the first bytes."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(HEADERS_DEADLINE_S, self._time_out)
        self._context.limiter.enter(self, self.abort)
        if self._first:
            super().data_received(self._first)
            self._first = b""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the limiter."""
        super().connection_lost(exc)
        self.headers_received()
        self.answered()
        self._context.limiter.exit(self)

    def data_received(self, data: bytes) -> None:
        """Admit or refuse a push that is whole; `admit` decides about one in pieces once it is complete."""
        if self._inside or not is_whole(data):
            self._aligned &= not data  # aiohttp passes nothing to go on with what it has
            super().data_received(data)
        elif self.admit():
            super().data_received(data)
        elif self.transport is not None:
            self._context.refused()
            self.transport.write(REFUSAL)
            if self._aligned:
                self.transport.pause_reading()
                self._context.cooldown.add(self.transport.resume_reading)
            else:
                self.close()
                self.transport.close()

    def admit(self) -> bool:
        """Admit a push until it is `answered`, unless there are too many."""
        if not self._inside and not self._context.admission.full:
            self._inside = True
            self._context.admission.enter()
        return self._inside

    def answered(self) -> None:
        """Make room for the next push."""
        if self._inside:
            self._inside = False
            self._context.admission.leave()

    def headers_received(self) -> None:
        """Cancel the deadline: from here on the handler limits the time."""
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def proven(self) -> None:
        """Exempt the connection from the limiter, after a correctly signed push."""
        self._context.limiter.prove(self)

    def refuse(self) -> None:
        """Count what was sent as malformed, and close the connection without a response."""
        self._context.malformed(400)
        self.abort()

    def abort(self) -> None:
        """Close the connection without a response."""
        if self.transport is not None:
            self.transport.abort()

    def _time_out(self) -> None:
        self._context.limiter.drop(self, "headers")

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - contains bytes of the request
    ) -> StreamResponse:
        """Answer bytes that are not a request, or a failure of the handler, and close."""
        if isinstance(exc, ConnectionError) and (self.transport is None or self.transport.is_closing()):
            raise exc  # the client hung up, or was refused
        if status < 500:
            self._context.malformed(status)
            response = failure("MalformedPush", "this is not an HTTP/1.1 request", status)
        else:
            self._context.bug(exc or RuntimeError())
            response = failure("InternalError", "this is a bug of rtsd; its log names the place", 500)
        if request.writer.output_size > 0:
            raise ConnectionError("a response was already started")
        response.force_close()
        return response


def of(request: web.Request) -> PushConnection:
    """The connection of a request."""
    return cast("PushConnection", request.protocol)


def failure(error: str, message: str, status: int) -> web.Response:
    """The response to an error (contract section 3)."""
    body = msgspec.json.encode({"error": error, "message": message})
    return web.Response(body=body, status=status, content_type="application/json", headers={"Server": "rtsd"})


def quiet_logger() -> logging.Logger:
    """A silenced logger for aiohttp, which would log malformed requests with their bytes."""
    logger = logging.getLogger("rtsd.gateway.http")
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    return logger
