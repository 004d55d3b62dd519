"""The gateway's listening sockets: accepts connections and sets up their TLS and deadlines.

asyncio's own accept loop cannot limit connections, waits a minute for a TLS handshake, and writes a hundred
thousand log lines when descriptors run out (CPython's `_accept_connection`).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress

from rtsd.errors import AddressInUse
from rtsd.gateway.connection import ConnectionContext, PushConnection
from rtsd.gateway.lobby import Lobby

HANDSHAKE_DEADLINE_S = 4.0
BACKLOG = 4_096
ACCEPTS_PER_TURN = 256
"""Connections accepted before the event loop serves the existing ones.

Those that are left in the kernel's queue wait unseen: a small number would hide overload from the admission.
"""
ACCEPT_PAUSE_S = 0.05
"""The pause before accepting again once descriptors have run out."""
OVERLOAD_PAUSE_S = 0.03
"""The pause after so many accepted connections during overload: senders that connect for every push
would take the event loop's time. The kernel's queue holds those of half a second."""
CLOSE_GRACE_S = 0.5
"""The time a stop waits for arriving requests and for handshakes."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """Accepts connections on sockets; `close` stops that and leaves existing connections open."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        context: ConnectionContext,
        make: Callable[[bytes, bool], PushConnection],
    ) -> None:
        self._sockets = sockets
        self._tls = tls
        self._context = context
        self._make = make
        self._lobby = Lobby(context, self._let_in, tls=tls is not None)
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def address(self) -> str:
        """`host:port` of the first socket."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Start accepting."""
        for listening in self._sockets:
            listening.setblocking(False)
            self._watch(listening)

    async def close(self) -> None:
        """Stop accepting, and wait briefly for accepted connections that are still sending a request.

        Connections in the kernel's queue remain for the next owner of the socket.
        """
        if self._closed:
            return
        self._closed = True
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        if self._opening:
            await asyncio.wait(self._opening, timeout=CLOSE_GRACE_S)
        for task in self._opening:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_GRACE_S):
                await self._context.limiter.empty()
        self._lobby.close()

    def _watch(self, listening: socket.socket) -> None:
        if not self._closed:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        """Accept some waiting connections. Not a task: a cancelled one could lose an accepted connection."""
        for _ in range(ACCEPTS_PER_TURN):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._context.limiter.drop_oldest("descriptors")
                    self._rest(listening, ACCEPT_PAUSE_S)
                    return
                continue  # the client disconnected before
            accepted.setblocking(False)
            self._lobby.enter(accepted)
        if self._context.admission.full:
            self._rest(listening, OVERLOAD_PAUSE_S)

    def _rest(self, listening: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(seconds, self._watch, listening)

    def _let_in(self, accepted: socket.socket, first: bytes, admitted: bool) -> None:  # noqa: FBT001 - a callback
        connection = self._make(first, admitted)
        opening = (
            self._open(accepted, connection) if self._tls is None else self._handshake(accepted, connection)
        )
        task = asyncio.create_task(opening, name="open connection")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _handshake(self, accepted: socket.socket, connection: PushConnection) -> None:
        """Perform the TLS handshake, as a waiting connection that may be dropped."""
        limiter, task = self._context.limiter, asyncio.current_task()
        if task is None:
            raise RuntimeError("not in a task")
        limiter.enter(task, task.cancel)
        try:
            await self._open(accepted, connection)
        finally:
            limiter.exit(task)

    async def _open(self, accepted: socket.socket, connection: PushConnection) -> None:
        loop = asyncio.get_running_loop()
        deadline = HANDSHAKE_DEADLINE_S if self._tls is not None else None
        try:
            await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=deadline,
                ssl_shutdown_timeout=1.0 if deadline else None,
            )
        except (OSError, ssl.SSLError):
            connection.answered()
            self._context.meters.dropped.labels("handshake").inc()
            with suppress(OSError):
                accepted.close()


def listen(host: str, port: int) -> list[socket.socket]:
    """Open listening sockets for an address. Raises AddressInUse."""
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
            "stop the program that uses it, or change [gateway] listen",
        ) from error
    return opened
