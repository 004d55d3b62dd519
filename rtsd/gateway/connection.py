"""One connection to the gateway: aiohttp's, with a deadline for the first request, and our errors."""

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
"""From the connection to the end of the first request's headers."""
LINES_A_SECOND = 5
"""Log lines that strangers can cause, of each kind: what they cost must not depend on their number."""

log = structlog.get_logger("rtsd.gateway")


class House:
    """What all connections share: who waits, what is counted, and how fast is logged."""

    def __init__(self, meters: Meters, now: Callable[[], Millis]) -> None:
        self.meters = meters
        self.room = ConnectionLimiter(meters)
        self._now = now
        self._malformed, self._bugs = RateLimit(LINES_A_SECOND), RateLimit(LINES_A_SECOND)

    def malformed(self, status: int) -> None:
        """Note what was no HTTP request, without a byte of it."""
        self.meters.pushes.labels("MalformedRequest").inc()
        held_back = self._malformed.admit(self._now())
        if held_back is not None:
            log.warning("not an HTTP request", status=status, held_back=held_back or None)

    def bug(self, error: BaseException) -> None:
        """Note an error of ours: where it came up, and not its text, which may be a payload's."""
        held_back = self._bugs.admit(self._now())
        if held_back is None:
            return
        log.error("bug", error=type(error).__name__, where=place(error), held_back=held_back or None)


class Connection(RequestHandler):
    """Waits in the room until a push was signed rightly; `proven()` lets it stay."""

    def __init__(self, house: House, server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._house = house
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(HEADERS_DEADLINE_S, self._too_late)
        self._house.room.enter(self, self.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the room."""
        super().connection_lost(exc)
        self.begun()
        self._house.room.exit(self)

    def begun(self) -> None:
        """The headers are there: from now on the handler keeps the time."""
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def proven(self) -> None:
        """Let it stay: it has signed a push rightly."""
        self._house.room.prove(self)

    def abort(self) -> None:
        """End it without another word."""
        if self.transport is not None:
            self.transport.abort()

    def _too_late(self) -> None:
        self._house.room.drop(self, "headers")

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - has bytes of the request in it
    ) -> StreamResponse:
        """Answer what never became a request, or what our own handler failed over, and close."""
        if status < 500:
            self._house.malformed(status)
            answer = failure("MalformedPush", "this is not an HTTP/1.1 request", status)
        else:
            self._house.bug(exc or RuntimeError())
            answer = failure("InternalError", "rtsd has a bug here; its log says where", 500)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        answer.force_close()
        return answer


def of(request: web.Request) -> Connection:
    """The connection that a request came over."""
    return cast("Connection", request.protocol)


def failure(error: str, message: str, status: int) -> web.Response:
    """An error's answer (contract section 3: every error has this shape)."""
    body = msgspec.json.encode({"error": error, "message": message})
    return web.Response(body=body, status=status, content_type="application/json", headers={"Server": "rtsd"})


def quiet_logger() -> logging.Logger:
    """Aiohttp logs malformed requests with their bytes: nothing of a payload belongs in a log."""
    logger = logging.getLogger("rtsd.gateway.http")
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    return logger
