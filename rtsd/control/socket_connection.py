"""The transport of `ControlClient`: HTTP over the control socket, the lines of a feed, errors of ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import aiohttp
import msgspec

from rtsd import __version__, errors
from rtsd.control import protocol
from rtsd.errors import DaemonUnreachable, NotFound, RtsError
from rtsd.users import stored_group, user_name

__all__ = ["FOREVER", "SocketConnection", "SocketForbidden", "UnknownRoute", "WrongProtocol", "socket_path"]

T = TypeVar("T")

SYSTEM_SOCKET = Path("/run/rtsd/rtsd.sock")
"""Where the daemon listens when it runs as a service."""

TIMEOUT_S = 30.0
"""For one answer. Work that is waited for, such as an audit, has no limit: `FOREVER`."""

FOREVER = aiohttp.ClientTimeout(total=None)

MAX_LINE = 32 * 1024 * 1024
"""Bytes of one feed line; more is not this protocol."""


class SocketForbidden(DaemonUnreachable):
    """The socket is there, but its permissions keep this user out."""


class UnknownRoute(RtsError):
    """The daemon has no such route: it is older than this program."""

    http_status = 404


class WrongProtocol(DaemonUnreachable):
    """The other end speaks another protocol, or another version of this one."""


def socket_path(option: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the control socket: the option, `$RTSD_SOCKET`, the service's, the user's own.

    Without an option or a variable it is the first that exists; else the first in a directory without access,
    where the attempt to connect says what is missing; else the service's.
    """
    if option:
        return Path(option).expanduser()
    if named := os.environ.get("RTSD_SOCKET"):
        return Path(named).expanduser()
    candidates = [SYSTEM_SOCKET]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(Path(runtime) / "rtsd" / "rtsd.sock")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    candidates.append(state / "rtsd" / "rtsd.sock")  # without a runtime directory: cron, su, containers
    found = {path: _exists(path) for path in candidates}
    for wanted in (True, None):
        if first := next((path for path, exists in found.items() if exists is wanted), None):
            return first
    return SYSTEM_SOCKET


class SocketConnection:
    """HTTP over one daemon's control socket. An async context manager; `close()` does the same by hand."""

    def __init__(
        self, socket: str | os.PathLike[str], *, timeout_s: float = TIMEOUT_S, program: str = "rtsd"
    ) -> None:
        """`program` is what the daemon's journal names as the one by which somebody acted."""
        self.socket = Path(socket)
        self._agent = {"User-Agent": f"{program}/{__version__}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections. The client may be used again afterwards."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _get(self, path: str, kind: type[T], query: Mapping[str, str] | None = None) -> T:
        return decode(await self.request("GET", path, query=query), kind)

    async def _send(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: msgspec.Struct | None = None,
        *,
        query: Mapping[str, str] | None = None,
        patience: aiohttp.ClientTimeout | None = None,
    ) -> T:
        answer = await self.request(method, path, query=query, body=body, patience=patience)
        return decode(answer if answer.strip() else b"{}", kind)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        patience: aiohttp.ClientTimeout | None = None,
    ) -> bytes:
        """Send a request and return its answer. Raises the errors of ours that a refusal stands for."""
        try:
            async with self._open(method, path, query, body, patience or self._timeout) as response:
                answer = await response.read()
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            self._unreachable(error)
        if response.status >= 400:
            raise refusal(response.status, answer)
        return answer

    async def lines(self, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a followed feed, each of any length up to MAX_LINE."""
        async for line in self.lines_of("/v1/events", query):
            yield line

    async def lines_of(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an answer as they come, each of any length up to MAX_LINE."""
        pending = bytearray()
        try:
            # An idle org sends nothing for hours; the kernel closes the socket when the daemon is gone.
            async with self._open("GET", path, query, None, aiohttp.ClientTimeout(total=None)) as response:
                if response.status >= 400:
                    raise refusal(response.status, await response.read())
                async for chunk in response.content.iter_any():
                    pending += chunk
                    if b"\n" in chunk:
                        *lines, rest = bytes(pending).split(b"\n")
                        pending = bytearray(rest)
                        for line in lines:
                            if line.strip():
                                yield line
                    if len(pending) > MAX_LINE:
                        raise _not_rtsd("a line is longer than 32 MiB")
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            self._unreachable(error)

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        timeout: aiohttp.ClientTimeout,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self.socket)),
                timeout=self._timeout,
                headers=self._agent,
            )
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        return self._session.request(
            method, f"http://rtsd{path}", params=query, data=data, headers=headers, timeout=timeout
        )

    def _unreachable(self, error: Exception) -> NoReturn:
        """Raise the error of ours that a failed connection means."""
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        if isinstance(cause, PermissionError):
            raise SocketForbidden(
                f"No permission to use {self.socket}.", _how_to_join(self.socket)
            ) from error
        if isinstance(cause, FileNotFoundError):
            raise DaemonUnreachable(
                f"No rtsd here: {self.socket} does not exist.",
                "Start it with `rtsd run` (or `systemctl start rtsd`), or name its socket with --socket.",
            ) from error
        if isinstance(cause, ConnectionRefusedError):
            raise DaemonUnreachable(
                f"rtsd is not running: nothing listens on {self.socket}.",
                "Start it with `rtsd run` (or `systemctl start rtsd`).",
            ) from error
        if isinstance(cause, TimeoutError | asyncio.TimeoutError):
            raise DaemonUnreachable(
                f"rtsd behind {self.socket} did not answer in {self._timeout.total:g} s.",
                "It may be stopped or overloaded: look at its log.",
            ) from error
        if isinstance(cause, aiohttp.ClientResponseError):
            raise _not_rtsd(f"{self.socket}: {cause.message or cause}") from error
        raise DaemonUnreachable(
            f"rtsd behind {self.socket} closed the connection.", "Look at its log, or start it again."
        ) from error


def decode(body: bytes, kind: type[T]) -> T:
    """Decode an answer. Raises WrongProtocol if it is another document."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_rtsd(f"the answer is not the document expected ({error})") from error


class _Line(msgspec.Struct):
    """The part that every line of the feed has."""

    type: str


def decode_line(line: bytes, kinds: Mapping[str, type[Any]], other: type[Any]) -> Any:
    """Decode a line of the feed as the kind that its `type` names, or as `other`."""
    return decode(line, kinds.get(decode(line, _Line).type, other))


def refusal(status: int, body: bytes) -> RtsError:
    """Return the error of ours that an answer of 400 and above stands for."""
    try:
        failure = msgspec.json.decode(body, type=protocol.Failure)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _not_rtsd(f"HTTP {status} without a reason")
    if status in (404, 405) and failure.error != NotFound.__name__:
        return UnknownRoute(
            "This rtsd does not know the request: it is older than this program.", "Upgrade rtsd."
        )
    kind: Callable[[str], RtsError] = _ERRORS.get(failure.error, RtsError)
    error = kind(failure.message)
    error.http_status = status
    return error


def _error_classes(root: type[RtsError]) -> dict[str, type[RtsError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= _error_classes(child)
    return found


_ERRORS = _error_classes(RtsError)


def _not_rtsd(what: str) -> WrongProtocol:
    return WrongProtocol(
        f"What answers is not an rtsd this program understands: {what}.",
        "Check --socket, and that both are of the same version (`rtsd --version`).",
    )


def _how_to_join(socket: Path) -> str:
    """Return how this user gets access: by joining the group that owns the socket, if that is possible."""
    group = None
    with suppress(OSError):
        group = stored_group(_owning_group(socket))
    if group is None:
        return "Run this with sudo, or let a group use it: docs/install.md, Who may use rtsd's commands."
    if group == "root":
        return "Only root may: run this with sudo, or let rtsd's socket belong to a group of yours."
    return f"Join its group with `sudo usermod -aG {group} {user_name(os.getuid())}`, then log in again."


def _owning_group(socket: Path) -> int:
    """Return the group of the socket, or of its directory where that is closed to this user, too."""
    try:
        return socket.stat().st_gid
    except PermissionError:
        return socket.parent.stat().st_gid


def _exists(path: Path) -> bool | None:
    """Return whether there is such a file; None if that cannot be seen."""
    try:
        return path.exists()
    except OSError:
        return None
