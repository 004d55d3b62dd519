"""New connections, until the HTTP server takes them over: here a push is refused during overload.

A connection of the HTTP server takes a task, a transport and a parser. Here it is a descriptor: to wait for
its first bytes costs little, and to refuse what it sends takes one read and one write.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from functools import partial

from rtsd.gateway.admission import REFUSAL, is_whole
from rtsd.gateway.connection import HEADERS_DEADLINE_S, ConnectionContext

READ_SIZE = 64 * 1024
"""Bytes of the first read; larger pushes are refused once they have arrived."""
SWEEP_EVERY_S = 0.5


class Outcome(Enum):
    """What became of a connection that was read."""

    WAITS = auto()
    REFUSED = auto()
    """It stays, unread for a moment."""
    LEFT = auto()
    """It was let in or closed."""


class Lobby:
    """Holds connections without a push that was admitted.

    `let_in` takes over a connection with the bytes that were read from it, and whether they are an admitted
    push. With TLS nothing is read, and a connection that arrives during overload is closed: its handshake
    would cost as much as a push.
    """

    def __init__(
        self, context: ConnectionContext, let_in: Callable[[socket.socket, bytes, bool], None], *, tls: bool
    ) -> None:
        self._context = context
        self._let_in = let_in
        self._tls = tls
        self._active_at: dict[socket.socket, float] = {}
        """Seconds of the loop; the longest inactive first."""
        self._sweeping: asyncio.TimerHandle | None = None

    def enter(self, accepted: socket.socket) -> None:
        """Take a new connection, without blocking; during overload its first bytes are there already."""
        outcome = self._serve(accepted)
        if outcome is not Outcome.LEFT:
            loop = asyncio.get_running_loop()
            self._active_at[accepted] = loop.time()
            if outcome is Outcome.WAITS:
                self._watch(accepted)
            self._context.limiter.enter(accepted, lambda: self._leave(accepted).close())
            self._sweeping = self._sweeping or loop.call_later(SWEEP_EVERY_S, self._sweep)

    def close(self) -> None:
        """Close every connection."""
        for accepted in list(self._active_at):
            self._leave(accepted).close()
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _watch(self, accepted: socket.socket) -> None:
        if accepted in self._active_at:
            asyncio.get_running_loop().add_reader(accepted.fileno(), self._serve_again, accepted)

    def _serve_again(self, accepted: socket.socket) -> None:
        outcome = self._serve(accepted)
        if outcome is Outcome.LEFT:
            return
        loop = asyncio.get_running_loop()
        del self._active_at[accepted]
        self._active_at[accepted] = loop.time()
        self._context.limiter.renew(accepted)
        if outcome is Outcome.REFUSED:
            loop.remove_reader(accepted.fileno())

    def _serve(self, accepted: socket.socket) -> Outcome:
        """Refuse what a connection has sent, or let it in."""
        try:
            data = accepted.recv(READ_SIZE, socket.MSG_PEEK if self._tls else 0)
        except BlockingIOError:
            return Outcome.WAITS
        except OSError:
            data = b""
        if not data:
            self._leave(accepted).close()
        elif not self._tls and not is_whole(data):
            self._let_in(self._leave(accepted), data, False)
        elif self._context.admission.full:
            return self._refuse(accepted)
        elif self._tls:
            self._let_in(self._leave(accepted), b"", False)
        else:
            self._context.admission.enter()
            self._let_in(self._leave(accepted), data, True)
        return Outcome.LEFT

    def _refuse(self, accepted: socket.socket) -> Outcome:
        """Refuse a push, and leave the connection unread for a moment."""
        self._context.refused()
        if not self._tls:
            with suppress(OSError):  # the client is gone, or reads no responses
                accepted.send(REFUSAL)
                self._context.cooldown.add(partial(self._watch, accepted))
                return Outcome.REFUSED
        self._leave(accepted).close()
        return Outcome.LEFT

    def _leave(self, accepted: socket.socket) -> socket.socket:
        """Remove a connection, if it has entered."""
        if self._active_at.pop(accepted, None) is not None:
            asyncio.get_running_loop().remove_reader(accepted.fileno())
            self._context.limiter.exit(accepted)
        return accepted

    def _sweep(self) -> None:
        """Drop the connections that have sent nothing for too long."""
        loop = asyncio.get_running_loop()
        while self._active_at:
            accepted, active_at = next(iter(self._active_at.items()))
            if loop.time() - active_at < HEADERS_DEADLINE_S:
                break
            self._context.limiter.drop(accepted, "headers")
        self._sweeping = loop.call_later(SWEEP_EVERY_S, self._sweep) if self._active_at else None
