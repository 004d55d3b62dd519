"""REST calls to one org over a connection pool: requests, streams, and their cost."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self, TypeVar

import aiohttp
import msgspec
from yarl import URL

from rtsd.errors import OrgUnreachable, SalesforceError
from rtsd.salesforce.error_mapping import CallFailed, Recovery
from rtsd.salesforce.exchange import ONE_CALL, Call, Exchange
from rtsd.salesforce.ledger import (
    Clock,
    Ledger,
    Observed,
    OnServerTime,
    ignore_server_time,
    ignore_usage,
)
from rtsd.salesforce.login import Token
from rtsd.salesforce.responses import Response
from rtsd.salesforce.retry import ConcurrencyLimit, Retrier, RetryPolicy, Sleep
from rtsd.salesforce.session import Session
from rtsd.salesforce.shapes import CompositeShape, NotJson, decoded, shaped
from rtsd.salesforce.transport import Timeouts, proxy_for, tls_context, unreachable

_MAX_URI = 16_384 - 1_000
"""Bytes of URI and token. The org accepts 16,384 with all headers (REST API guide, Status Codes)."""
_READ_BYTES = 256 * 1024

T = TypeVar("T")


class Stream(NamedTuple):
    """A response whose body is still arriving; reading it raises OrgUnreachable on an interruption."""

    status: int
    headers: Mapping[str, str]
    observed: Observed
    chunks: AsyncIterator[bytes]
    """The bytes as sent, compressed if the headers say so."""


class RestConnection:
    """Requests to one org. `async with` opens and closes the connection pool.

    Every call takes the `purpose` under which the ledger counts it, and the shape of the answer that it can
    use (`shapes`): no other answer reaches a caller. All calls raise QuotaExhausted,
    AuthenticationFailed, SessionExpired, OrgUnreachable, ObjectUnavailable, or SalesforceError with
    Salesforce's `reason` (QUERY_TIMEOUT, MALFORMED_QUERY, EXCEEDED_ID_LIMIT...).
    """

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        clock: Clock,
        *,
        api_version: str = "66.0",
        on_usage: Callable[[int, int], None] = ignore_usage,
        on_server_time: OnServerTime = ignore_server_time,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | None = None,
        concurrency: int = 8,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.session = session
        self.ledger = ledger
        self.clock = clock
        self.api_version = api_version
        self.timeouts = timeouts or Timeouts()
        self.context = tls_context(session.credentials.ca_file)
        self.exchange = Exchange(
            session,
            ledger,
            clock,
            retrier=Retrier(retries or RetryPolicy(), clock, sleep),
            concurrency=ConcurrencyLimit(concurrency),
            on_usage=on_usage,
            on_server_time=on_server_time,
        )
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.context, limit=0),  # ConcurrencyLimit does
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self.timeouts.connect_s, sock_read=self.timeouts.first_byte_s
            ),
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None
        await self.session.close()

    async def log_in(self) -> None:
        """Log in if there is no session: from then on Salesforce's clock is known.

        Await it before you choose times on that clock: the first of them would be on ours. Raises as
        `Session.token`.
        """
        await self.session.token()

    async def request(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        purpose: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        repeatable: bool = True,
        bulk: bool = False,
        resources: Mapping[str, int] = ONE_CALL,
        attempts: int | None = None,
    ) -> Response[T]:
        """Call `path` below `/services/data/vNN.N`, or an absolute path that starts with `/services/`.

        `body` is sent as JSON. A call that is not `repeatable` is retried only if Salesforce certainly did
        not process it. `resources` is its cost by limit name; `bulk` marks the creation of a Bulk job.
        """

        async def send(token: Token) -> Response[T]:
            url = self.url(token, path, params)
            async with self._open(method, url, token, body) as response:
                return await self._read_json(response, shape)

        return await self.exchange.run(Call(purpose, resources, repeatable, bulk, attempts), send)

    async def get(
        self, path: str, shape: type[T], *, purpose: str, params: Mapping[str, str] | None = None
    ) -> Response[T]:
        """GET `path`."""
        return await self.request("GET", path, shape, purpose=purpose, params=params)

    async def post(
        self, path: str, shape: type[T], *, purpose: str, body: Any, repeatable: bool = True
    ) -> Response[T]:
        """POST `body` as JSON to `path`."""
        return await self.request("POST", path, shape, purpose=purpose, body=body, repeatable=repeatable)

    async def command(
        self,
        method: str,
        path: str,
        *,
        purpose: str,
        body: Any = None,
        repeatable: bool = True,
        attempts: int | None = None,
    ) -> None:
        """Call `path` for its effect; the body of a success tells nothing, and may be empty."""

        async def send(token: Token) -> Response[None]:
            async with self._open(method, self.url(token, path), token, body) as response:
                text = await self._read_text(response)
                if response.status < 300 and text:
                    _data(response, text, object)
                return Response(response.status, response.headers, None, text)

        await self.exchange.run(Call(purpose, ONE_CALL, repeatable, attempts=attempts), send)

    async def post_form(
        self, path: str, shape: type[T], *, purpose: str, form: Callable[[], aiohttp.FormData]
    ) -> Response[T]:
        """POST multipart form data, built for each attempt; retried only if certainly not processed."""

        async def send(token: Token) -> Response[T]:
            async with self._open("POST", self.url(token, path), token, form()) as response:
                return await self._read_json(response, shape)

        return await self.exchange.run(Call(purpose, ONE_CALL, repeatable=False), send)

    async def get_long(
        self, path: str, shape: type[T], *, purpose: str, params: Mapping[str, str]
    ) -> Response[T]:
        """GET a path whose URI may be too long to send: then as a composite call, which also counts once.

        (REST API guide, Composite; URI and headers of a request are limited to 16,384 bytes.)
        """

        async def send(token: Token) -> Response[T]:
            url = self.url(token, path, params)
            if len(str(url)) + len(token.access_token) <= _MAX_URI:
                async with self._open("GET", url, token, None) as response:
                    return await self._read_json(response, shape)
            part = {"method": "GET", "url": url.raw_path_qs, "referenceId": "q"}
            body = {"allOrNone": False, "compositeRequest": [part]}
            async with self._open("POST", self.url(token, "composite"), token, body) as response:
                return _only_part(await self._read_json(response, CompositeShape), shape)

        return await self.exchange.run(Call(purpose, ONE_CALL), send)

    @asynccontextmanager
    async def stream(
        self, path: str, *, purpose: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[Stream]:
        """GET `path` and yield its body as it arrives, without decompression."""
        opened: list[aiohttp.ClientResponse] = []

        async def send(token: Token) -> Response[aiohttp.ClientResponse]:
            url = self.url(token, path, params)
            response = await self._start("GET", url, token, None, headers, decode=False)
            opened.append(response)
            text = "" if response.status < 300 else await self._read_text(response)
            return Response(response.status, response.headers, response, text)

        try:
            reply = await self.exchange.run(Call(purpose, ONE_CALL), send)
            yield Stream(reply.status, reply.headers, reply.observed, self._chunks(reply.data))
        finally:
            for response in opened:
                response.close()

    def url(self, token: Token, path: str, params: Mapping[str, str] | None = None) -> URL:
        """The URL of `path` on the org's host."""
        base = path if path.startswith("/services/") else f"/services/data/v{self.api_version}/{path}"
        url = URL(token.instance_url + base)
        return url.with_query(params) if params else url

    @asynccontextmanager
    async def _open(
        self, method: str, url: URL, token: Token, body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        response = await self._start(method, url, token, body, {})
        try:
            yield response
        finally:
            response.release()

    async def _start(
        self,
        method: str,
        url: URL,
        token: Token,
        body: Any,
        headers: Mapping[str, str],
        *,
        decode: bool = True,
    ) -> aiohttp.ClientResponse:
        if self._http is None:
            raise RuntimeError("the connection pool is not open")
        sent = {"Authorization": f"Bearer {token.access_token}", **headers}
        data = body
        if body is not None and not isinstance(body, aiohttp.FormData):
            sent["Content-Type"] = "application/json"
            data = msgspec.json.encode(body)
        try:
            return await self._http.request(
                method,
                url,
                data=data,
                headers=sent,
                proxy=proxy_for(str(url)),
                allow_redirects=False,
                auto_decompress=decode,
            )
        except aiohttp.ClientConnectorError as cause:
            raise unreachable(str(url), cause, processed=False) from cause
        except (aiohttp.ClientError, TimeoutError, OSError) as cause:
            raise unreachable(str(url), cause) from cause

    async def _read_json(self, response: aiohttp.ClientResponse, shape: type[T]) -> Response[T]:
        """Read a whole response; the data of an error is nothing, as `Exchange` raises it."""
        text = await self._read_text(response)
        if response.status >= 300:
            return _error(response.status, response.headers, text)
        return Response(response.status, response.headers, _data(response, text, shape))

    async def _read_text(self, response: aiohttp.ClientResponse) -> str:
        parts: list[bytes] = []
        try:
            async for chunk in self._chunks(response):
                parts.append(chunk)  # noqa: PERF401  a comprehension would lose the chunks before an error
        except OrgUnreachable as cause:
            raise CallFailed(cause, Recovery.RETRY) from cause
        return b"".join(parts).decode("utf-8", "replace")

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises OrgUnreachable if it stalls or ends early."""
        while True:
            try:
                async with asyncio.timeout(self.timeouts.stall_s):
                    chunk = await response.content.read(_READ_BYTES)
            except (aiohttp.ClientError, TimeoutError, OSError) as cause:
                raise unreachable(str(response.url), cause).error from cause
            if not chunk:
                return
            yield chunk


def _error(status: int, headers: Mapping[str, str], text: str) -> Response[Any]:
    return Response(status, headers, None, text)


def _data(response: aiohttp.ClientResponse, text: str, shape: type[T]) -> T:
    """Decode a success. Raises CallFailed for JSON of another shape, a maintenance page, or nothing."""
    try:
        return decoded(text, shape, what=_asked(response.url.path))
    except SalesforceError as unusable:  # asked again at once, it would cost as much and say the same
        raise CallFailed(unusable, Recovery.NONE) from unusable
    except NotJson as cause:
        what = "a response that is not JSON" if text else "an empty response"
        error = OrgUnreachable(f"{response.url.host} sent {what}.", status=response.status)
        raise CallFailed(error, Recovery.RETRY) from cause


def _asked(path: str) -> str:
    """What was asked for, without the version: `query`, `jobs/query/750...`."""
    return re.sub(r"^/services/(data/v[0-9.]+/)?", "", path)


def _only_part(response: Response[CompositeShape], shape: type[T]) -> Response[T]:
    """Unwrap a composite response with a single part."""
    if response.status >= 300:
        return _error(response.status, response.headers, response.error_body)
    part = response.data.composite_response[0]
    if part.http_status_code < 300:
        try:
            data = shaped(part.body, shape, what="composite")
        except SalesforceError as error:
            raise CallFailed(error, Recovery.NONE) from error
        return Response(part.http_status_code, response.headers, data)
    return _error(part.http_status_code, response.headers, msgspec.json.encode(part.body).decode())
