"""A sender of pushes beside the package: signed by its own code, cheap enough to be no bottleneck.

Requests are bytes before the first one leaves, and connections are bare protocols: tests kill the
daemon under it, the benchmarks measure with it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shot:
    """One signed push: its webhook-id, and the HTTP request it is."""

    id: str
    request: bytes


def signed(token: str, webhook_id: str, body: bytes, path: str = "/v1/push") -> Shot:
    """Sign `body` after Standard Webhooks 1.0.0, as of now."""
    stamp = int(time.time())
    content = b"%b.%d.%b" % (webhook_id.encode(), stamp, body)
    signature = base64.b64encode(hmac.new(token.encode(), content, hashlib.sha256).digest()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"webhook-id: {webhook_id}\r\nwebhook-timestamp: {stamp}\r\nwebhook-signature: v1,{signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Shot(webhook_id, head.encode() + body)


def status_of(received: bytes) -> int | None:
    """Return the status of a response; None while it is incomplete."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]) if len(body) >= length else None


OnAnswer = Callable[[Shot, int], None]


class _Gun(asyncio.Protocol):
    """One connection: a shot, its answer, the next shot; until there are no more, or it is cut."""

    def __init__(self, shots: Iterator[Shot], on_answer: OnAnswer) -> None:
        self._shots = shots
        self._on_answer = on_answer
        self._shot: Shot | None = None
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._fire()

    def data_received(self, data: bytes) -> None:
        self._received += data
        status = status_of(self._received)
        if status is None or self._shot is None:
            return
        self._received = b""
        self._on_answer(self._shot, status)
        self._fire()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def _fire(self) -> None:
        assert self._transport is not None
        self._shot = next(self._shots, None)
        if self._shot is None:
            self._transport.close()
        else:
            self._transport.write(self._shot.request)

    def stop(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def firing(
    port: int, shots: Iterator[Shot], on_answer: OnAnswer, connections: int = 16
) -> AsyncIterator[asyncio.Future[list[None]]]:
    """Fire over so many connections at once, each next shot after the answer to the one before.

    Yields what ends when every connection has: there are no more shots, or the other side is gone.
    """
    loop = asyncio.get_running_loop()
    guns = [
        (await loop.create_connection(lambda: _Gun(shots, on_answer), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    try:
        yield asyncio.gather(*(gun.over for gun in guns))
    finally:
        for gun in guns:
            gun.stop()
