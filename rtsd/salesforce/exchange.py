"""The lifecycle of a call: concurrency limit, ledger, login, retries, and the headers of every response."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from rtsd.core.instant import Millis, from_http_date
from rtsd.core.quota import API_REQUESTS
from rtsd.errors import OrgUnreachable, QuotaExhausted
from rtsd.salesforce.error_mapping import CallFailed, Recovery, map_error
from rtsd.salesforce.ledger import Clock, Ledger, Observed, OnServerTime
from rtsd.salesforce.login import Token
from rtsd.salesforce.responses import Response, T
from rtsd.salesforce.retry import ConcurrencyLimit, Retrier
from rtsd.salesforce.session import Session

log = structlog.get_logger("rtsd.salesforce")

ONE_CALL: Mapping[str, int] = {API_REQUESTS: 1}

_USAGE = re.compile(r"(?:^|[;,\s])api-usage=([0-9]{1,15})/([0-9]{1,15})(?![0-9])")
"""Not anchored at the end, as a per-app part may follow (REST API guide, Limit Info Header)."""
_MAX_LOCAL_SKEW_MS: Millis = 300_000
"""The local clock's assumed error for a response without Date: generous, so that doubt leads to a repair."""


@dataclass(frozen=True, slots=True)
class Call:
    """The properties of a call, apart from its request.

    `resources` is its cost by limit name. A call that is not `repeatable` is retried only if Salesforce
    certainly did not process it. `bulk` marks the creation of a Bulk job; `attempts` overrides the policy.
    """

    purpose: str
    resources: Mapping[str, int]
    repeatable: bool = True
    bulk: bool = False
    attempts: int | None = None


class Exchange:
    """Runs calls: records each in the ledger first, logs in once for all, retries by policy."""

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        clock: Clock,
        *,
        retrier: Retrier,
        concurrency: ConcurrencyLimit,
        on_usage: Callable[[int, int], None],
        on_server_time: OnServerTime,
    ) -> None:
        self.retrier = retrier
        self._session = session
        self._ledger = ledger
        self._clock = clock
        self._concurrency = concurrency
        self._on_usage = on_usage
        self._on_server_time = on_server_time
        self.answered = 0
        """Number of successful calls."""

    async def run(self, call: Call, send: Callable[[Token], Awaitable[Response[T]]]) -> Response[T]:
        """Run `send` with a valid token until it succeeds or the policy ends the retries.

        Raises the SalesforceError of the last failure.
        """
        try:
            async for attempt in self.retrier.attempts(repeatable=call.repeatable, most=call.attempts):
                with attempt:
                    return await self._attempt(call, send)
        except CallFailed as failed:
            raise failed.error from failed.__cause__
        raise AssertionError("the attempts end with a return or an error")

    async def _attempt(self, call: Call, send: Callable[[Token], Awaitable[Response[T]]]) -> Response[T]:
        token = await self._token()
        try:
            return await self._once(call, send, token)
        except CallFailed as failed:
            if failed.recovery is not Recovery.LOG_IN:
                raise
        self._session.expire(token)  # once only: a 401 with a fresh token is final
        return await self._once(call, send, await self._token())

    async def _token(self) -> Token:
        try:
            return await self._session.token()
        except OrgUnreachable as error:
            raise CallFailed(error, Recovery.RETRY, processed=False) from error

    async def _once(
        self, call: Call, send: Callable[[Token], Awaitable[Response[T]]], token: Token
    ) -> Response[T]:
        async with self._concurrency.slot():
            for resource, count in call.resources.items():
                await self._ledger.spend(call.purpose, resource, count)
            started = self._clock()
            response = await send(token)
        log.info("call", purpose=call.purpose, status=response.status, ms=self._clock() - started)
        response = replace(response, observed=self._observe(response.headers, started))
        if response.status < 300 or response.status == 304:
            self._concurrency.succeeded()
            self.answered += 1
            return response
        after_s = _retry_after(response.headers, self._clock())
        failed = map_error(response.status, response.error_body, bulk=call.bulk, after_s=after_s)
        if failed.recovery is Recovery.SLOW_DOWN:
            self._concurrency.reduce()
        if isinstance(failed.error, QuotaExhausted):
            await self._ledger.refused(call.purpose, call.resources, failed.error)
        raise failed

    def _observe(self, headers: Mapping[str, str], started: Millis) -> Observed:
        usage = _USAGE.search(headers.get("Sforce-Limit-Info", ""))
        if usage:
            self._on_usage(int(usage[1]), int(usage[2]))
        ended = self._clock()
        elapsed = max(0, ended - started)
        date = from_http_date(headers.get("Date", ""))
        if date is None:
            return Observed(started - _MAX_LOCAL_SKEW_MS, ended + _MAX_LOCAL_SKEW_MS)
        self._on_server_time(date, started, ended)
        return Observed(date - elapsed, date + 1000)


def _retry_after(headers: Mapping[str, str], now: Millis) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    date = from_http_date(text)
    return None if date is None else max(0.0, (date - now) / 1000)
