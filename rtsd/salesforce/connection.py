"""REST over one pooled connection: requests, streams, and what each costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

import aiohttp
import msgspec
from yarl import URL

from rtsd.errors import OrgUnreachable
from rtsd.salesforce.exchange import ONE_CALL, Call, Exchange, Reply
from rtsd.salesforce.ledger import (
    Clock,
    Ledger,
    Observed,
    OnServerTime,
    ignore_server_time,
    ignore_usage,
)
from rtsd.salesforce.login import Token
from rtsd.salesforce.refusals import Refused, Remedy
from rtsd.salesforce.responses import Answer
from rtsd.salesforce.retry import ConcurrencyLimit, Patience, RetryPolicy, Sleep
from rtsd.salesforce.session import Session
from rtsd.salesforce.transport import Timeouts, proxy_for, tls_context, unreachable

_MOST_URI = 16_384 - 1_000
"""Bytes of URI and token: with all headers the org takes 16,384 (REST API guide, Status Codes)."""
_READ_BYTES = 256 * 1024


class Stream(NamedTuple):
    """A body that is still coming; an error on the way is OrgUnreachable."""

    status: int
    headers: Mapping[str, str]
    observed: Observed
    chunks: AsyncIterator[bytes]
    """The bytes as sent, still compressed if the headers say so."""


class Connection:
    """Requests to one org. `async with` opens and closes the pool.

    Every call takes the `purpose` under which the ledger counts it. All of them raise QuotaExhausted,
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
            patience=Patience(retries or RetryPolicy(), clock, sleep),
            gate=ConcurrencyLimit(concurrency),
            on_usage=on_usage,
            on_server_time=on_server_time,
        )
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.context, limit=0),  # the gate limits
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

    async def request(
        self,
        method: str,
        path: str,
        *,
        purpose: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        repeatable: bool = True,
        bulk: bool = False,
        resources: Mapping[str, int] = ONE_CALL,
        attempts: int | None = None,
    ) -> Answer:
        """Call `path` below `/services/data/vNN.N` (or from the root when it starts with `/services/`).

        `body` is sent as JSON. A call that is not `repeatable` is tried again only when it was surely
        not processed. `resources` is what it costs, `bulk` says that it creates a Bulk job.
        """

        async def send(token: Token) -> Reply[Any]:
            url = self.url(token, path, params)
            async with self._open(method, url, token, body) as response:
                return await self._read_json(response)

        call = Call(purpose, resources, repeatable, bulk, attempts)
        reply = await self.exchange.run(call, send)
        return Answer(reply.status, reply.payload, reply.headers, reply.observed)

    async def get(self, path: str, *, purpose: str, params: Mapping[str, str] | None = None) -> Answer:
        """GET `path`."""
        return await self.request("GET", path, purpose=purpose, params=params)

    async def post(self, path: str, *, purpose: str, body: Any, repeatable: bool = True) -> Answer:
        """POST `body` as JSON to `path`."""
        return await self.request("POST", path, purpose=purpose, body=body, repeatable=repeatable)

    async def post_form(self, path: str, *, purpose: str, form: Callable[[], aiohttp.FormData]) -> Answer:
        """POST multipart form data, made anew for each attempt; sent again only if surely not processed."""

        async def send(token: Token) -> Reply[Any]:
            async with self._open("POST", self.url(token, path), token, form()) as response:
                return await self._read_json(response)

        reply = await self.exchange.run(Call(purpose, ONE_CALL, repeatable=False), send)
        return Answer(reply.status, reply.payload, reply.headers, reply.observed)

    async def get_long(self, path: str, *, purpose: str, params: Mapping[str, str]) -> Answer:
        """GET a path whose URI may be too long to send: then inside a composite call, for one call's price.

        (REST API guide, Composite; the URI and headers of a request may have 16,384 bytes.)
        """

        async def send(token: Token) -> Reply[Any]:
            url = self.url(token, path, params)
            if len(str(url)) + len(token.access_token) <= _MOST_URI:
                async with self._open("GET", url, token, None) as response:
                    return await self._read_json(response)
            part = {"method": "GET", "url": url.raw_path_qs, "referenceId": "q"}
            body = {"allOrNone": False, "compositeRequest": [part]}
            async with self._open("POST", self.url(token, "composite"), token, body) as response:
                return _only_part(await self._read_json(response))

        reply = await self.exchange.run(Call(purpose, ONE_CALL), send)
        return Answer(reply.status, reply.payload, reply.headers, reply.observed)

    @asynccontextmanager
    async def stream(
        self, path: str, *, purpose: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[Stream]:
        """GET `path` and read its body while it comes, undecoded."""
        opened: list[aiohttp.ClientResponse] = []

        async def send(token: Token) -> Reply[aiohttp.ClientResponse]:
            url = self.url(token, path, params)
            response = await self._start("GET", url, token, None, headers, decode=False)
            opened.append(response)
            text = "" if response.status < 300 else await self._read_text(response)
            return Reply(response.status, response.headers, text, response)

        try:
            reply = await self.exchange.run(Call(purpose, ONE_CALL), send)
            yield Stream(reply.status, reply.headers, reply.observed, self._chunks(reply.payload))
        finally:
            for response in opened:
                response.close()

    def url(self, token: Token, path: str, params: Mapping[str, str] | None = None) -> URL:
        """Where `path` is, on the org's own host."""
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
            raise RuntimeError("the connection is not open")
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

    async def _read_json(self, response: aiohttp.ClientResponse) -> Reply[Any]:
        text = await self._read_text(response)
        if response.status >= 300:
            return Reply(response.status, response.headers, text, None)
        try:
            data = msgspec.json.decode(text) if text else None
        except msgspec.DecodeError as cause:  # a maintenance page sent as a success
            error = OrgUnreachable(
                f"{response.url.host} answered with something that is not JSON.", status=response.status
            )
            raise Refused(error, Remedy.RETRY) from cause
        return Reply(response.status, response.headers, "", data)

    async def _read_text(self, response: aiohttp.ClientResponse) -> str:
        parts: list[bytes] = []
        try:
            async for chunk in self._chunks(response):
                parts.append(chunk)  # noqa: PERF401  a comprehension would lose what came before an error
        except OrgUnreachable as cause:
            raise Refused(cause, Remedy.RETRY) from cause
        return b"".join(parts).decode("utf-8", "replace")

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises OrgUnreachable when it stalls or breaks off."""
        while True:
            try:
                async with asyncio.timeout(self.timeouts.stall_s):
                    chunk = await response.content.read(_READ_BYTES)
            except (aiohttp.ClientError, TimeoutError, OSError) as cause:
                raise unreachable(str(response.url), cause).error from cause
            if not chunk:
                return
            yield chunk


def _only_part(reply: Reply[Any]) -> Reply[Any]:
    """Turn a composite answer with one part into that part's own answer."""
    if reply.status >= 300:
        return reply
    part = reply.payload["compositeResponse"][0]
    status, body = part["httpStatusCode"], part["body"]
    if status < 300:
        return Reply(status, reply.headers, "", body)
    return Reply(status, reply.headers, msgspec.json.encode(body).decode(), None)
