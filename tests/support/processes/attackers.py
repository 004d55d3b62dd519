"""Connections that never finish what they begin, from the address that honest pushes come from."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.processes.sender import Shot

SLOW_HEADERS = b"POST /v1/push HTTP/1.1\r\nHost: gateway\r\nX-Slow: "
SLOW_BODY = b"POST /v1/push HTTP/1.1\r\nHost: gateway\r\nContent-Length: 8192\r\nwebhook-id: slow\r\n\r\n{"
NO_HANDSHAKE = b""
RATE = 300
"""As `slowhttptest -r 300` does."""


class _Slow(asyncio.Protocol):
    """Says how it begins, then a byte now and then; comes again when it is thrown out."""

    def __init__(self, begin: bytes, crowd: Crowd) -> None:
        self._begin = begin
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._crowd.inside.add(self)
        transport.write(self._begin)

    def connection_lost(self, _error: Exception | None) -> None:
        self._crowd.inside.discard(self)
        self._crowd.thrown_out += 1

    def drip(self) -> None:
        if self._transport is not None and self._begin:
            self._transport.write(b"x")

    def leave(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Crowd:
    """How many are connected, and how many were thrown out."""

    def __init__(self) -> None:
        self.inside: set[_Slow] = set()
        self.came = 0
        self.thrown_out = 0


@asynccontextmanager
async def crowd(port: int, begin: bytes, size: int) -> AsyncIterator[Crowd]:
    """Open `size` slow connections, and RATE a second in place of those that are thrown out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, size + 1_000), hard), hard))
    loop = asyncio.get_running_loop()
    found = Crowd()

    async def press() -> None:
        while True:
            wanted = size - found.came if found.came < size else RATE // 10
            found.came += wanted
            coming = [
                loop.create_connection(lambda: _Slow(begin, found), "127.0.0.1", port)
                for _ in range(min(wanted, size - len(found.inside)))
            ]
            await asyncio.gather(*coming, return_exceptions=True)
            await asyncio.sleep(0.1)
            for attacker in list(found.inside):
                attacker.drip()

    pressing = asyncio.create_task(press())
    try:
        yield found
    finally:
        pressing.cancel()
        for connection in list(found.inside):
            connection.leave()


async def push_alone(port: int, shot: Shot) -> tuple[int, float]:
    """Send one push over a connection of its own, as Salesforce may; return status and seconds."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(shot.request)
    line = await reader.readline()
    writer.close()
    return (int(line.split()[1]) if line else 0), time.perf_counter() - began
