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
from rtsd.gateway.connection_limiter import ConnectionLimiter
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
    """The state shared by all connections: metrics, the connection limiter, log rate limits."""

    def __init__(self, meters: Meters, now: Callable[[], Millis]) -> None:
        self.meters = meters
        self.limiter = ConnectionLimiter(meters)
        self._now = now
        self._malformed, self._bugs = RateLimit(LINES_PER_SECOND), RateLimit(LINES_PER_SECOND)

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

    def __init__(self, context: ConnectionContext, server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._context = context
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline and enter the limiter."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(HEADERS_DEADLINE_S, self._time_out)
        self._context.limiter.enter(self, self.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the limiter."""
        super().connection_lost(exc)
        self.headers_received()
        self._context.limiter.exit(self)

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
