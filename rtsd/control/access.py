"""Access to the control socket, and the form of every refusal."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog
from aiohttp import HttpVersion10, web
from aiohttp.web_protocol import RequestHandler

from rtsd.control import protocol
from rtsd.control.documents import answer
from rtsd.errors import AddressInUse, ConfigError, RtsError, place

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NOT_HTTP = "this is not an HTTP/1.1 request"

log = structlog.get_logger("rtsd.control")


def listen(path: Path) -> socket.socket:
    """Bind with the final mode from the start; replace a socket that a killed rtsd left behind.

    Raises AddressInUse.
    """
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_listen(path, error) from error
    require_free(path)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o117)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise _cannot_listen(path, error) from error
    finally:
        os.umask(mask)
    return listening


def require_free(path: Path) -> None:
    """Check, changing nothing, that nobody answers at `path`. Raises AddressInUse."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_listen(path, error) from error
    if not stat.S_ISSOCK(mode):
        raise AddressInUse(f"{path} is not a socket", "set [control] socket to a path that is free")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise AddressInUse(f"another rtsd answers on {path}", "stop it, or set [control] socket")


class Peer(NamedTuple):
    """The process at the other end of a connection, as the kernel noted it when it connected."""

    pid: int
    uid: int
    gid: int


def peer_of(request: web.Request) -> Peer:
    """Return the other end of a request. Raises HTTPForbidden if it is gone."""
    noted = _connection(request).getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return Peer(*struct.unpack("3i", noted))


@web.middleware
async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Admit root, this user and the socket's group, whatever mode the socket has."""
    peer, path = peer_of(request), _connection(request).getsockname()
    if peer.uid not in {0, os.geteuid()} and _group(path) not in _groups(peer.uid, peer.gid):
        message = (
            f"user {peer.uid} may not use this socket: only root, rtsd's own user and the socket's group"
        )
        return answer(protocol.Failure(error="Forbidden", message=message), status=403)
    return await handler(request)


@web.middleware
async def shaped(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every refusal the same body; no traceback leaves the daemon."""
    if request.version < HttpVersion10:
        return answer(protocol.Failure(error="UsageError", message=NOT_HTTP), status=400)
    try:
        return await handler(request)
    except RtsError as error:
        if _has_begun(request):
            raise
        mistakes = error.mistakes if isinstance(error, ConfigError) else ()
        message = " ".join((str(error), "; ".join(mistakes))).strip()
        return answer(protocol.Failure(error=error.code, message=message), status=error.http_status)
    except web.HTTPException as error:
        return answer(protocol.Failure(error="UsageError", message=error.reason), status=error.status)
    except Exception as error:  # a bug here must not stop the daemon
        if _has_hung_up(request, error):
            raise
        # Its text may contain a record's values: the log gets the place only.
        log.error("bug", error=type(error).__name__, where=place(error))  # noqa: TRY400 - see above
        if _has_begun(request):
            raise
        message = f"rtsd has a bug here ({type(error).__name__} at {place(error)}); please report it"
        return answer(protocol.Failure(error="InternalError", message=message), status=500)


def _has_hung_up(request: web.Request, error: Exception) -> bool:
    """Whether the client went away before the end of its answer."""
    return isinstance(error, ConnectionError) and (
        request.transport is None or request.transport.is_closing()
    )


def _has_begun(request: web.Request) -> bool:
    """Whether part of the answer is sent: only closing the connection shows a failure then."""
    return request.writer.output_size > 0


class ControlConnection(RequestHandler):
    """aiohttp's connection, whose answer to what is no request has the form of every other refusal."""

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - contains bytes of the request
    ) -> web.StreamResponse:
        """Answer bytes that are not a request, or a failure of the handler, and close."""
        if request.writer.output_size > 0:
            raise ConnectionError("a response was already started")
        failed = protocol.Failure(error="UsageError", message=NOT_HTTP)
        if status >= 500:
            kind = type(exc).__name__ if exc is not None else "Exception"
            failed = protocol.Failure(error="InternalError", message=f"rtsd has a bug here ({kind})")
        response = answer(failed, status=status)
        response.force_close()
        return response


def quiet_logger() -> logging.Logger:
    """Return a silent logger: aiohttp would log the bytes of requests that it cannot parse."""
    logger = logging.getLogger("rtsd.control.http")
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    return logger


def _connection(request: web.Request) -> socket.socket:
    """Return a request's socket. Raises HTTPForbidden if it is closed already."""
    connection = request.transport.get_extra_info("socket") if request.transport is not None else None
    if connection is None:
        raise web.HTTPForbidden
    found: socket.socket = connection
    return found


def _group(path: str) -> int:
    """Return the group of a socket."""
    try:
        return Path(path).stat().st_gid
    except OSError:
        return os.getegid()


def _groups(uid: int, gid: int) -> set[int]:
    """Return the groups of a user: that of its process, and its memberships."""
    try:
        return {gid, *os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)}
    except KeyError:
        return {gid}


def _cannot_listen(path: Path, error: OSError) -> AddressInUse:
    return AddressInUse(f"cannot listen on {path}: {error.strerror or error}", "set [control] socket")
