"""The client of the control socket, for rtstui and for the verbs that talk to a running daemon.

One `ControlClient` per socket. Every method is one request of contract section 5; documents that
`protocol` types come back typed, the others as the JSON they are. Failures are errors of
`rtsd.errors`: nobody there is `DaemonUnreachable` with what to do about it, a refusal is the class
the daemon named.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from rtsd import errors
from rtsd.control import protocol
from rtsd.errors import DaemonUnreachable, NotFound, RtsError

__all__ = ["ControlClient", "SocketForbidden", "UnknownRoute", "WrongProtocol", "socket_path"]

T = TypeVar("T")

SYSTEM_SOCKET = Path("/run/rtsd/rtsd.sock")
"""Where the daemon listens when it runs as a service."""

TIMEOUT_S = 30.0
"""For one answer. Waiting for a whole audit has no limit: see `ControlClient.audit`."""

FOREVER = aiohttp.ClientTimeout(total=None)

MAX_LINE = 32 * 1024 * 1024
"""Bytes of one feed line; more is not this protocol."""


class SocketForbidden(DaemonUnreachable):
    """The socket is there, but its permissions keep this user out."""


class UnknownRoute(RtsError):
    """The daemon answers, and has never heard of the question: it is older than this program."""

    http_status = 404


class WrongProtocol(DaemonUnreachable):
    """Something answers that speaks another version of the protocol, or another protocol."""


def socket_path(option: str | os.PathLike[str] | None = None) -> Path:
    """Which control socket is meant: the option, `$RTSD_SOCKET`, the service's, the user's own.

    Without an option or a variable it is the first that exists, else the service's.
    """
    if option:
        return Path(option).expanduser()
    if named := os.environ.get("RTSD_SOCKET"):
        return Path(named).expanduser()
    candidates = [SYSTEM_SOCKET]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(Path(runtime) / "rtsd" / "rtsd.sock")
    return next((path for path in candidates if _exists(path)), SYSTEM_SOCKET)


class ControlClient:
    """One daemon's control API. An async context manager; `close()` does the same by hand."""

    def __init__(self, socket: str | os.PathLike[str], *, timeout_s: float = TIMEOUT_S) -> None:
        self.socket = Path(socket)
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

    # -- looking ---------------------------------------------------------------------------------

    async def status(self) -> protocol.Status:
        """`GET /v1/status`."""
        return _decode(await self._request("GET", "/v1/status"), protocol.Status)

    async def events(
        self,
        after: int = 0,
        name: str | None = None,
        limit: int | None = None,
    ) -> list[protocol.Event]:
        """Journal entries after number `after`, oldest first."""
        query = _present(after=after, object=name, limit=limit)
        body = await self._request("GET", "/v1/events", query=query)
        return [_decode(line, protocol.Event) for line in body.splitlines() if line.strip()]

    async def follow(
        self,
        after: int | None = None,
        name: str | None = None,
    ) -> AsyncGenerator[protocol.Snapshot | protocol.Event | protocol.Lagged, None]:
        """The live journal: a snapshot, then every entry. Ends after `Lagged` or with the daemon."""
        async for line in self._lines(_present(after=after, object=name, follow=1)):
            yield _decode_line(
                line, {"snapshot": protocol.Snapshot, "lagged": protocol.Lagged}, protocol.Event
            )

    async def frames(
        self, hz: int = 10, rows: int = 200
    ) -> AsyncGenerator[protocol.Snapshot | protocol.Frame, None]:
        """The journal thinned for a screen: a snapshot, then at most `hz` frames a second."""
        kinds: dict[str, type[protocol.Snapshot | protocol.Frame]] = {"snapshot": protocol.Snapshot}
        async for line in self._lines(_present(follow=1, hz=hz, rows=rows)):
            yield _decode_line(line, kinds, protocol.Frame)

    async def errors(self) -> list[protocol.ErrorEntry]:
        """The error log, newest first."""
        return _decode(await self._request("GET", "/v1/errors"), protocol.Errors).errors

    async def dead_letters(self) -> list[protocol.DeadLetter]:
        """What could not be used, newest first."""
        return _decode(await self._request("GET", "/v1/dead-letters"), protocol.DeadLetters).dead_letters

    async def rules(self) -> protocol.Rules:
        """Rules and alerts, and how their deliveries fare."""
        return _decode(await self._request("GET", "/v1/rules"), protocol.Rules)

    async def quota_history(self) -> dict[str, Any]:
        """`GET /v1/quota/history`."""
        return await self._json("GET", "/v1/quota/history")

    async def record(self, name: str, record: str) -> dict[str, Any]:
        """One record as the mirror has it."""
        return await self._json("GET", _record(name, record))

    async def audits(self) -> protocol.Audits:
        """What audits run, and what audits, fingerprints and repairs found, newest first."""
        return _decode(await self._request("GET", "/v1/audits"), protocol.Audits)

    async def why(self, name: str, record: str, *, ask_org: bool = True) -> dict[str, Any]:
        """Everything that touched a record; with `ask_org`, for one API call, also how the org shows it."""
        query = None if ask_org else {"org": "0"}
        return await self._json("GET", f"{_record(name, record)}/why", query=query)

    async def history(self, name: str, record: str, at: str | None = None) -> dict[str, Any]:
        """A record's past values; with `at`, as it was at that moment."""
        return await self._json("GET", f"{_record(name, record)}/history", query=_present(at=at))

    async def conditions(self, name: str, *, ask_org: bool = True) -> dict[str, Any]:
        """The fields whose change makes the package push; with `ask_org` read now, for one API call."""
        query = None if ask_org else {"org": "0"}
        return await self._json("GET", f"{_object(name)}/conditions", query=query)

    async def test_rule(self, name: str, since: str) -> protocol.RuleTest:
        """What a rule would have fired on since a moment, by the journal; nothing is sent."""
        path = f"/v1/rules/{quote(name, safe='')}/test"
        answer = await self._request("POST", path, body={"since": since}, patience=FOREVER)
        return _decode(answer, protocol.RuleTest)

    async def package(self, *, look: bool = False) -> protocol.PackageDetails:
        """What is known of the Salesforce package; `look` asks the org first."""
        answer = await self._request("GET", "/v1/package", query={"look": "1"} if look else None)
        return _decode(answer, protocol.PackageDetails)

    async def query(self, sql: str) -> dict[str, Any]:
        """Run a read-only SELECT on the mirror."""
        return await self._json("POST", "/v1/query", body={"sql": sql})

    async def get(self, path: str) -> bytes:
        """Any other document of the API, as it was sent."""
        return await self._request("GET", path)

    # -- acting ----------------------------------------------------------------------------------

    async def retry(self, dead_letter: int) -> dict[str, Any]:
        """Try a dead letter again."""
        return await self._json("POST", f"/v1/dead-letters/{dead_letter}/retry")

    async def drop(self, dead_letter: int) -> dict[str, Any]:
        """Give a dead letter up."""
        return await self._json("POST", f"/v1/dead-letters/{dead_letter}/drop")

    async def audit(
        self,
        name: str,
        *,
        full: bool = False,
        dry_run: bool = False,
        accept_missing: bool = False,
        wait: bool = False,
    ) -> dict[str, Any]:
        """Compare an object with the org and repair it; `dry_run` only prices, `wait` waits for the end.

        `accept_missing` goes with `full`: rows that the org does not show are deleted, however many.
        """
        return await self._json(
            "POST",
            f"{_object(name)}/audit",
            query={"wait": "1"} if wait else None,
            body={"full": full, "dry_run": dry_run} | ({"accept_missing": True} if accept_missing else {}),
            patience=FOREVER if wait else None,
        )

    async def repair(
        self,
        name: str,
        ids: Sequence[str] = (),
        *,
        fields: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Fetch records again: some by id, those stamped since a time, or some fields of all of them.

        `dry_run` only prices.
        """
        named: dict[str, Any] = {
            "ids": list(ids),
            "fields": list(fields),
            "since": since,
            "until": until,
            "dry_run": dry_run,
        }
        body = {key: value for key, value in named.items() if value}
        return await self._json("POST", f"{_object(name)}/repair", body=body, patience=FOREVER)

    async def verify(self, *, certify: bool = False) -> dict[str, Any]:
        """Verify the whole mirror, and wait for the end; `certify` adds a signed `certificate`."""
        return await self._json("POST", "/v1/verify", body={"certificate": certify}, patience=FOREVER)

    async def backup(self, keep: Callable[[bytes, int], None]) -> Mapping[str, str]:
        """Have a copy of the mirror made and `keep(piece, size of the whole)` it; return the headers with it.

        `keep` raises errors of `rtsd.errors` only: an OSError would be taken for the connection's.
        """
        try:
            async with self._open("POST", "/v1/backup", None, None, FOREVER) as response:
                if response.status >= 400:
                    raise _refusal(response.status, await response.read())
                async for piece in response.content.iter_any():
                    keep(piece, response.content_length or 0)
                return response.headers
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            self._unreachable(error)

    async def backup_progress(self) -> protocol.BackupProgress:
        """How far the copy is that is being made."""
        return _decode(await self._request("GET", "/v1/backup"), protocol.BackupProgress)

    async def pause(self, objects: Sequence[str] = ()) -> dict[str, Any]:
        """Stop applying changes of these objects, or of all."""
        return await self._json("POST", "/v1/pause", body={"objects": list(objects)})

    async def resume(self, objects: Sequence[str] = ()) -> dict[str, Any]:
        """The end of `pause`."""
        return await self._json("POST", "/v1/resume", body={"objects": list(objects)})

    async def set_package_disabled(self, *, disabled: bool) -> protocol.PackageDetails:
        """Switch the package off or on, for the whole org."""
        answer = await self._request("POST", f"/v1/package/{'disable' if disabled else 'enable'}")
        return _decode(answer, protocol.PackageDetails)

    async def package_changed(self, calls: Mapping[str, int], *, look: bool) -> protocol.PackageDetails:
        """Have the daemon write down what was called beside it, and look at the package if it was changed."""
        body = {"calls": calls, "look": look}
        answer = await self._request("POST", "/v1/package/changed", body=body)
        return _decode(answer, protocol.PackageDetails)

    async def reload(self) -> protocol.Reloaded:
        """Have the daemon read its configuration again. Raises ConfigError when that has mistakes."""
        return _decode(await self._request("POST", "/v1/reload"), protocol.Reloaded)

    async def set_conditions(self, name: str, fields: Sequence[str]) -> dict[str, Any]:
        """Replace an object's sync conditions; none = any change pushes."""
        return await self._json("PUT", f"{_object(name)}/conditions", body={"fields": list(fields)})

    # -- the wire --------------------------------------------------------------------------------

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        patience: aiohttp.ClientTimeout | None = None,
    ) -> dict[str, Any]:
        answer = await self._request(method, path, query=query, body=body, patience=patience)
        return _decode(answer, dict[str, Any]) if answer.strip() else {}

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        patience: aiohttp.ClientTimeout | None = None,
    ) -> bytes:
        try:
            async with self._open(method, path, query, body, patience or self._timeout) as response:
                answer = await response.read()
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            self._unreachable(error)
        if response.status >= 400:
            raise _refusal(response.status, answer)
        return answer

    async def _lines(self, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The lines of a followed feed, of any length up to MAX_LINE."""
        pending = bytearray()
        try:
            # An idle org sends nothing for hours; the kernel tells when the daemon is gone.
            async with self._open(
                "GET", "/v1/events", query, None, aiohttp.ClientTimeout(total=None)
            ) as response:
                if response.status >= 400:
                    raise _refusal(response.status, await response.read())
                async for chunk in response.content.iter_any():
                    pending += chunk
                    if b"\n" in chunk:
                        *lines, rest = bytes(pending).split(b"\n")
                        pending = bytearray(rest)
                        for line in lines:
                            if line.strip():
                                yield line
                    if len(pending) > MAX_LINE:
                        raise _not_rtsd("a line of the feed is longer than 32 MiB")
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
                connector=aiohttp.UnixConnector(path=str(self.socket)), timeout=self._timeout
            )
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        return self._session.request(
            method, f"http://rtsd{path}", params=query, data=data, headers=headers, timeout=timeout
        )

    def _unreachable(self, error: Exception) -> NoReturn:
        """Raise what a failed connection means for the one who called."""
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


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_rtsd(f"the answer is not the document expected ({error})") from error


class _Line(msgspec.Struct):
    """What every line of the feed has."""

    type: str


def _decode_line(line: bytes, kinds: Mapping[str, type[Any]], other: type[Any]) -> Any:
    return _decode(line, kinds.get(_decode(line, _Line).type, other))


def _refusal(status: int, body: bytes) -> RtsError:
    """The error that an answer of 400 and above stands for."""
    try:
        failure = msgspec.json.decode(body, type=protocol.Failure)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _not_rtsd(f"HTTP {status} without a reason")
    if status in (404, 405) and failure.error != NotFound.__name__:
        return UnknownRoute(
            "This rtsd does not know the question: it is older than the one who asks.", "Upgrade rtsd."
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
    """The command that lets this user in: joining the group that owns the socket, where there is one."""
    try:
        group = grp.getgrgid(socket.stat().st_gid).gr_name
    except (OSError, KeyError):
        group = "rtsd"
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    if group == "root":
        return "Only root may: run this with sudo, or let rtsd's socket belong to a group of yours."
    return f"Join its group with `sudo usermod -aG {group} {user}`, then log in again."


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # a directory we may not enter: somebody's socket, and the error will say so


def _present(**query: object) -> dict[str, str]:
    return {key: str(value) for key, value in query.items() if value is not None}


def _object(name: str) -> str:
    return f"/v1/objects/{quote(name, safe='')}"


def _record(name: str, record: str) -> str:
    return f"{_object(name)}/records/{quote(record, safe='')}"
