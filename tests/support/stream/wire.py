"""A TCP proxy between a client and a server: it freezes, resets, counts connections, and can add TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


class Wire:
    """Forwards bytes to a port of 127.0.0.1 or a Unix socket; with `tls` it is the server's end of TLS."""

    def __init__(self, target: int | Path, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.port = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        self._flows.set()
        self.reset()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def freeze(self) -> None:
        """Forward nothing more; connections stay open."""
        self._flows.clear()

    def thaw(self) -> None:
        """Forward again."""
        self._flows.set()

    def reset(self) -> None:
        """Reset all connections (TCP RST)."""
        for writer in self._writers:
            if not writer.is_closing():
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(OSError):
            if isinstance(self._target, Path):
                far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._forward(reader, far_writer), self._forward(far_reader, writer))
        writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                await self._flows.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def wire_to(target: int | Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A running proxy."""
    wire = Wire(target, tls)
    await wire.start()
    try:
        yield wire
    finally:
        await wire.stop()
