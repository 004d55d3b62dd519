"""The listening sockets of the gateway: accepts connections, and gives each its TLS and its deadline.

asyncio's own accept loop has no say in who is let in, waits a minute for a TLS handshake, and when the
descriptors are used up writes a hundred thousand log lines (CPython's `_accept_connection`); hence this one.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress

from rtsd.errors import AddressInUse
from rtsd.gateway.connection import Connection, House

HANDSHAKE_DEADLINE_S = 4.0
BACKLOG = 4_096
AT_ONCE = 32
"""Connections that are accepted before those that are there get their turn."""
BREATH_S = 0.05
"""Before the next try to accept, when the descriptors are used up."""

LAST_WORDS_S = 0.5
"""How long a stop waits for requests that are on their way, and for handshakes."""

_USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """Accepts on sockets; `close` stops that, and leaves the connections as they are."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        house: House,
        make: Callable[[], Connection],
    ) -> None:
        self._sockets = sockets
        self._tls = tls
        self._house = house
        self._make = make
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def address(self) -> str:
        """`host:port` of the first socket."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Begin to accept."""
        for listening in self._sockets:
            listening.setblocking(False)
            self._watch(listening)

    async def close(self) -> None:
        """Accept no more, and wait a moment for those who were let in and are still speaking.

        Who waits in the kernel's queue is for whoever holds the socket next.
        """
        if self._closed:
            return
        self._closed = True
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        if self._opening:
            await asyncio.wait(self._opening, timeout=LAST_WORDS_S)
        for task in self._opening:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._house.room.empty()

    def _watch(self, listening: socket.socket) -> None:
        if not self._closed:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        """Take some of those who wait. Not a task: one that is cancelled could lose whom it has accepted."""
        for _ in range(AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _USED_UP:
                    self._house.room.drop_oldest("descriptors")
                    loop = asyncio.get_running_loop()
                    loop.remove_reader(listening)
                    loop.call_later(BREATH_S, self._watch, listening)
                    return
                continue  # that one was gone before it was taken
            self._take(accepted)

    def _take(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        opening = self._open(accepted) if self._tls is None else self._shake(accepted)
        task = asyncio.create_task(opening, name="open a connection")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _shake(self, accepted: socket.socket) -> None:
        """Wait for the TLS handshake, in the room: a stranger who says nothing is thrown out first."""
        room, me = self._house.room, asyncio.current_task()
        if me is None:
            raise RuntimeError("not in a task")
        room.enter(me, me.cancel)
        try:
            await self._open(accepted)
        finally:
            room.exit(me)

    async def _open(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        deadline = HANDSHAKE_DEADLINE_S if self._tls is not None else None
        try:
            await loop.connect_accepted_socket(
                self._make,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=deadline,
                ssl_shutdown_timeout=1.0 if deadline else None,
            )
        except (OSError, ssl.SSLError):
            self._house.meters.dropped.labels("handshake").inc()
            with suppress(OSError):
                accepted.close()


def listen(host: str, port: int) -> list[socket.socket]:
    """Open the sockets of an address. Raises AddressInUse."""
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            listening = socket.socket(family, kind, protocol)
            opened.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
    except OSError as error:
        for listening in opened:
            listening.close()
        raise AddressInUse(
            f"cannot listen on {host}:{port}: {error.strerror}",
            "stop what uses it, or set another [gateway] listen",
        ) from error
    return opened
