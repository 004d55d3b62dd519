"""The HTTP door for pushes: `POST /v1/push`, answered 200 only after the commit, and `GET /healthz`."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog
from aiohttp import web

from rtsd.core.instant import Millis
from rtsd.core.payload import Changes, Push, encode_push, parse_push
from rtsd.errors import (
    AddressInUse,
    CannotCommit,
    MalformedPush,
    PushEncoded,
    PushError,
    PushTooLarge,
    StoreError,
    WrongOrg,
)
from rtsd.gateway import signature
from rtsd.gateway.meters import Meters
from rtsd.store.inbox import Arrival, Inbox

MAX_BODY = 12 * 1024 * 1024
BODY_DEADLINE_S = 10.0
"""An Apex callout gives up after 10 s by default; nobody honest is slower."""
SHUTDOWN_S = 3.0
"""How long a stop waits for requests in flight; a commit takes milliseconds, the rest is a slow sender."""

log = structlog.get_logger("rtsd.gateway")


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
        self._runner: web.AppRunner | None = None
        self.address: str | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen. Raises AddressInUse."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/v1/push", self._push)
        app.router.add_get("/healthz", self._healthz)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_quiet_logger(),
            keepalive_timeout=75.0,
            shutdown_timeout=SHUTDOWN_S,
            lingering_time=1.0,
            auto_decompress=False,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise AddressInUse(
                f"cannot listen on {host}:{port}: {error.strerror}",
                "stop what uses it, or set another [gateway] listen",
            ) from error
        bound = self._runner.addresses[0]
        self.address = f"{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Stop listening, after the requests in flight."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _push(self, request: web.Request) -> web.Response:
        meters = self._intake.meters
        try:
            push, fresh = await self._take(request)
        except PushError as error:
            meters.pushes.labels(error.code).inc()
            with suppress(StoreError):  # a refusal that cannot be written down is one all the same
                await self._intake.on_rejected(error)
            return _refusal(error)
        accepted = len(push.changes) if isinstance(push, Changes) else 1
        meters.pushes.labels("accepted" if fresh else "duplicate").inc()
        meters.changes.inc(accepted if fresh else 0)
        return _json({"accepted": accepted} if fresh else {"accepted": 0, "duplicate": True})

    async def _take(self, request: web.Request) -> tuple[Push, bool]:
        """Check a push from the cheapest test to the dearest, then make it durable."""
        intake = self._intake
        if request.headers.get("Content-Encoding"):
            raise PushEncoded("the body has a Content-Encoding", "send it as it was signed")
        if request.content_length is not None and request.content_length > MAX_BODY:
            raise PushTooLarge("the body is over 12 MiB", "send fewer changes, or changes without fields")
        body = await _body(request)
        with intake.meters.seconds.time():
            return await self._judge(request, body)

    async def _judge(self, request: web.Request, body: bytes) -> tuple[Push, bool]:
        """Verify, read and keep a push whose body is whole."""
        intake = self._intake
        now = intake.now()
        webhook_id = request.headers.get("webhook-id", "")
        signature.verify(
            intake.secrets(),
            webhook_id=webhook_id,
            timestamp=request.headers.get("webhook-timestamp", ""),
            signatures=request.headers.get("webhook-signature", ""),
            body=body,
            now=now,
        )
        push = parse_push(body)
        org_id = intake.org_id()
        if org_id is not None and push.org != org_id:
            raise WrongOrg(
                f"signed rightly, but sent by org {push.org}: a copy of this org is pushing to it",
                "in that sandbox, clear Token__c in RTS_Settings__c",
            )
        if isinstance(push, Changes):
            intake.protect(push)
        fresh = await intake.inbox.append(Arrival(webhook_id, now, encode_push(push)))
        with suppress(StoreError):  # it is on the disk: what cannot be noted now does not take that back
            await intake.on_push(push, now)
        return push, fresh

    async def _healthz(self, _request: web.Request) -> web.Response:
        healthy = self._intake.healthy()
        return web.Response(text="ok" if healthy else "unavailable", status=200 if healthy else 503)


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise PushTooLarge("the body is over 12 MiB", "send fewer changes") from error
    except TimeoutError as error:
        raise MalformedPush(f"the body did not arrive within {BODY_DEADLINE_S:.0f} s") from error


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers
    )


def _refusal(error: PushError) -> web.Response:
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, CannotCommit) else None
    return _json({"error": error.code, "message": str(error)}, error.http_status, headers)


def _quiet_logger() -> logging.Logger:
    """Aiohttp logs malformed requests with their bytes: nothing of a payload belongs in a log."""
    logger = logging.getLogger("rtsd.gateway.http")
    logger.setLevel(logging.CRITICAL)
    return logger
