"""A connection to NATS JetStream, by nats-py, and its errors in rtsd's words.

rtsd connects again itself: nats-py would send what it kept from before, after what was published meanwhile.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import nats.aio.client
import nats.errors
import nats.js.errors
from nats.js.api import StreamConfig, StreamInfo

from rtsd.errors import PublishFailed
from rtsd.fanout.cloudevent import CONTENT_TYPE, SUBJECTS, subject
from rtsd.fanout.outlet import Target

CONNECT_S = 2
"""Seconds for each server."""
ACK_S = 5.0
"""Seconds for an acknowledgement; the election of a new leader takes about as long."""
CLOSE_S = 1.0
PING_EVERY_S = 20
HEADER_BYTES = 512
"""More than the headers of a message, which count towards its size."""
OPERATIONS = ("create", "update", "delete", "undelete")
_HEADERS = {"Content-Type": CONTENT_TYPE}
_OTHER_STREAM = 10_060
"""`expected stream does not match`: refused by the stream, so it was allowed to be published."""
_NO_STREAM = 10_059
_NOT_ENABLED = (10_039, 10_076)
_OVERLAPS = 10_065


class _Client(nats.aio.client.Client):
    """Logs in and publishes over TLS only, where the URL says tls://; nats-py leaves it to the server."""

    def _connect_command(self) -> bytes:
        server = self._current_server
        if server is not None and server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        return super()._connect_command()


class Connection:
    """A connection whose stream takes the changes of the org."""

    def __init__(self, target: Target, client: _Client, refused: list[Exception]) -> None:
        self._target = target
        self._client = client
        self._refused = refused
        """Errors that the server reported beside answers, such as missing permissions."""
        self._stream = client.jetstream(timeout=ACK_S)
        self.limit = 0
        """Bytes of the largest document."""
        self.duplicate_window_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._client.is_connected

    async def publish(self, subject_: str, message_id: str, body: bytes) -> None:
        """Publish a message, and return once the stream has stored it. Raises PublishFailed."""
        headers = {**_HEADERS, "Nats-Msg-Id": message_id}
        try:
            async with asyncio.timeout(ACK_S + 1):  # the other one does not cover a socket that takes nothing
                await self._stream.publish(
                    subject_, body, timeout=ACK_S, stream=self._target.stream, headers=headers
                )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise self._failed(error) from error

    async def close(self) -> None:
        """Close it, whatever state it is in."""
        with suppress(nats.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._client.close()

    async def verify(self, org_id: str, objects: Sequence[str]) -> None:
        """Find the stream, or create it, and ask whether it takes the changes. Raises PublishFailed."""
        try:
            found = await self._found(org_id)
            self._require_subjects(found.config, org_id, objects)
            largest = found.config.max_msg_size or -1
            sizes = [self._client.max_payload, *([largest] if largest > 0 else [])]
            self.limit = min(sizes) - HEADER_BYTES
            self.duplicate_window_s = float(found.config.duplicate_window or 0)
            await self._probe(subject(org_id, objects[0], OPERATIONS[0]))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise self._failed(error) from error

    async def _found(self, org_id: str) -> StreamInfo:
        target = self._target
        try:
            return await self._stream.stream_info(target.stream)
        except nats.js.errors.NotFoundError as error:
            if error.err_code != _NO_STREAM or not target.create:
                raise
        return await self._stream.add_stream(
            name=target.stream, subjects=[SUBJECTS.format(org=org_id)], num_replicas=target.replicas
        )

    def _require_subjects(self, config: StreamConfig, org_id: str, objects: Sequence[str]) -> None:
        wanted = [subject(org_id, name, operation) for name in objects for operation in OPERATIONS]
        patterns = config.subjects or []
        untaken = [name for name in wanted if not any(matches(pattern, name) for pattern in patterns)]
        if untaken:
            raise PublishFailed(
                f"stream {self._target.stream} does not take {untaken[0]}",
                f"add {SUBJECTS.format(org=org_id)} to its subjects: `nats stream edit`",
            )

    async def _probe(self, subject_: str) -> None:
        """Publish for a stream of another name, which this one refuses: so it may be published to it."""
        try:
            await self._stream.publish(subject_, b"", timeout=ACK_S, stream=f"{self._target.stream}-not")
        except nats.js.errors.APIError as error:
            if error.err_code != _OTHER_STREAM:
                raise

    def _failed(self, error: Exception) -> PublishFailed:
        return failure(error, self._target, self._refused)


def matches(pattern: str, subject_: str) -> bool:
    """Return whether a subject matches a pattern with the wildcards `*` and `>`."""
    given, wanted = subject_.split("."), pattern.split(".")
    if wanted[-1] == ">" and len(given) >= len(wanted):
        wanted = wanted[:-1]
        given = given[: len(wanted)]
    return len(given) == len(wanted) and all(
        part in ("*", own) for part, own in zip(wanted, given, strict=True)
    )


async def connect(target: Target, org_id: str, objects: Sequence[str]) -> Connection:
    """Connect to the first server by which the stream can be used. Raises PublishFailed."""
    context = _tls(target)
    reasons: list[str] = []
    failed: PublishFailed | None = None
    for url in target.urls:
        client, refused = _Client(), list[Exception]()
        try:
            async with asyncio.timeout(2 * CONNECT_S):
                await _login(client, target, url, context, refused)
            connection = Connection(target, client, refused)
            await connection.verify(org_id, objects)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            reasons.append(f"{url}: {_reason([*refused, error])}")
        except PublishFailed as error:
            failed = error
        except BaseException:
            await _abandon(client)
            raise
        else:
            return connection
        await _abandon(client)
    raise failed or PublishFailed(
        f"no connection to NATS: {'; '.join(reasons)}", "check url, the server and the network in between"
    )


async def _login(
    client: _Client, target: Target, url: str, context: ssl.SSLContext, refused: list[Exception]
) -> None:
    async def note(error: Exception) -> None:
        refused.append(error)

    own = target.credentials
    options: dict[str, Any] = {}
    if own is not None:
        options = {"user": own.user or None, "password": own.password or None, "token": own.token or None}
        if own.key is not None:
            options |= {"user_jwt_cb": own.jwt.encode, "signature_cb": own.signature}
    try:
        await client.connect(
            [url],
            error_cb=note,
            name="rtsd",
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_S,
            ping_interval=PING_EVERY_S,
            tls=context,
            **options,
        )
    except nats.errors.Error as error:
        if "authorization" in str(error).lower() or "authentication" in str(error).lower():
            raise PublishFailed(
                f"{url} refuses the credentials", "correct credentials_file, or the server's users"
            ) from error
        raise


def _tls(target: Target) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(target.ca_file) if target.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise PublishFailed(f"ca_file cannot be read: {error}", "name a PEM file") from error


async def _abandon(client: _Client) -> None:
    with suppress(nats.errors.Error, OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await client.close()


def failure(error: Exception, target: Target, refused: Iterable[Exception] = ()) -> PublishFailed:
    """Return an error of nats-py as rtsd tells it, with what to do."""
    stream = f"stream {target.stream}"
    denied = [_words(each) for each in refused if "permissions violation" in str(each).lower()]
    if denied:
        return PublishFailed(
            f"the user of NATS lacks a permission: {denied[-1]}",
            "let it publish to rts.> and $JS.API.STREAM.INFO.*, and subscribe to _INBOX.>",
        )
    if isinstance(error, nats.js.errors.APIError):
        return _refusal(error, stream, target)
    if isinstance(error, nats.js.errors.NoStreamResponseError | nats.errors.NoRespondersError):
        return PublishFailed(
            f"{stream} does not answer: no server leads it, or it is gone",
            "look at `nats stream info`; rtsd tries again",
        )
    if isinstance(error, TimeoutError):
        return PublishFailed(f"{stream} does not answer in time", "look at the servers; rtsd tries again")
    return PublishFailed(f"the connection to NATS broke: {_reason([error])}", "rtsd connects again")


def _refusal(error: nats.js.errors.APIError, stream: str, target: Target) -> PublishFailed:
    if error.err_code == _NO_STREAM:
        return PublishFailed(
            f"there is no {stream}",
            f"create it: `nats stream add {target.stream} --subjects 'rts.>'`; or set create = true",
        )
    if error.err_code in _NOT_ENABLED or error.err_code is None:  # None: nobody answers for JetStream
        return PublishFailed(
            "JetStream is not enabled on the servers or for this account, or has no leader now",
            "enable it in their configuration; rtsd tries again",
        )
    if error.err_code == _OVERLAPS:
        return PublishFailed(
            f"{stream} cannot be created: another stream takes its subjects", "name that one in `stream`"
        )
    return PublishFailed(
        f"{stream} refuses: {error.description}",
        "look at its limits and its state with `nats stream info`; rtsd tries again",
    )


def _reason(errors: Sequence[Exception]) -> str:
    """Return the first reason, of those that nats-py collected and the one that it raised."""
    telling = [error for error in errors if not isinstance(error, nats.errors.NoServersError)]
    return _words((telling or list(errors))[0])


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).removeprefix("nats: ").strip("' ") or type(error).__name__
