"""One call, whoever sends it: ledger, gate, login, retry, and what every answer tells on the side."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import structlog

from rtsd.core.instant import Millis
from rtsd.core.quota import API_REQUESTS
from rtsd.errors import OrgUnreachable, QuotaExhausted
from rtsd.salesforce.ledger import Clock, Ledger, Observed, OnServerTime
from rtsd.salesforce.login import Token
from rtsd.salesforce.refusals import Refused, Remedy, refusal
from rtsd.salesforce.retry import ConcurrencyLimit, Patience
from rtsd.salesforce.session import Session

T = TypeVar("T")

log = structlog.get_logger("rtsd.salesforce")

ONE_CALL: Mapping[str, int] = {API_REQUESTS: 1}

_USAGE = re.compile(r"(?:^|[;,\s])api-usage=(\d+)/(\d+)")
"""Not anchored at the end: more may follow, such as a per-app part (REST API guide, Limit Info Header)."""
_WITHOUT_DATE: Millis = 300_000
"""How far off the local clock may be where an answer has no Date: wide, so that doubt leads to a repair."""


NOT_YET = Observed(0, 0)


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What came back: `text` of an error, `payload` of a success."""

    status: int
    headers: Mapping[str, str]
    text: str
    payload: T
    observed: Observed = NOT_YET


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a call besides how it is sent.

    `resources` is what it costs. A call that is not `repeatable` is sent again only when it was surely
    not processed. `bulk`: it creates a Bulk job. `attempts` overrides the policy's.
    """

    purpose: str
    resources: Mapping[str, int]
    repeatable: bool = True
    bulk: bool = False
    attempts: int | None = None


class Exchange:
    """Runs calls: announced before they are sent, one login for all, retried by policy."""

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        clock: Clock,
        *,
        patience: Patience,
        gate: ConcurrencyLimit,
        on_usage: Callable[[int, int], None],
        on_server_time: OnServerTime,
    ) -> None:
        self.patience = patience
        self._session = session
        self._ledger = ledger
        self._clock = clock
        self._gate = gate
        self._on_usage = on_usage
        self._on_server_time = on_server_time
        self.answered = 0
        """Calls that went well."""

    async def run(self, call: Call, send: Callable[[Token], Awaitable[Reply[T]]]) -> Reply[T]:
        """Have `send` make the call with a valid token, until it works or nothing more can be done.

        Raises the SalesforceError that the last refusal stands for.
        """
        try:
            async for attempt in self.patience.attempts(repeatable=call.repeatable, most=call.attempts):
                with attempt:
                    return await self._attempt(call, send)
        except Refused as refused:
            raise refused.error from refused.__cause__
        raise AssertionError("the attempts end with a return or an error")

    async def _attempt(self, call: Call, send: Callable[[Token], Awaitable[Reply[T]]]) -> Reply[T]:
        token = await self._token()
        try:
            return await self._once(call, send, token)
        except Refused as refused:
            if refused.remedy is not Remedy.LOG_IN:
                raise
        self._session.expire(token)  # once: a second 401 with a fresh token is an answer, not a reason
        return await self._once(call, send, await self._token())

    async def _token(self) -> Token:
        try:
            return await self._session.token()
        except OrgUnreachable as error:
            raise Refused(error, Remedy.RETRY, processed=False) from error

    async def _once(self, call: Call, send: Callable[[Token], Awaitable[Reply[T]]], token: Token) -> Reply[T]:
        async with self._gate.passing():
            for resource, count in call.resources.items():
                await self._ledger.spend(call.purpose, resource, count)
            started = self._clock()
            reply = await send(token)
        log.info("call", purpose=call.purpose, status=reply.status, ms=self._clock() - started)
        reply = replace(reply, observed=self._observe(reply.headers, started))
        if reply.status < 300 or reply.status == 304:
            self._gate.calm()
            self.answered += 1
            return reply
        refused = refusal(
            reply.status, reply.text, bulk=call.bulk, after_s=_retry_after(reply.headers, self._clock())
        )
        if refused.remedy is Remedy.SLOW_DOWN:
            self._gate.narrow()
        if isinstance(refused.error, QuotaExhausted):
            await self._ledger.refused(call.purpose, call.resources, refused.error)
        raise refused

    def _observe(self, headers: Mapping[str, str], started: Millis) -> Observed:
        usage = _USAGE.search(headers.get("Sforce-Limit-Info", ""))
        if usage:
            self._on_usage(int(usage[1]), int(usage[2]))
        ended = self._clock()
        elapsed = max(0, ended - started)
        date = http_date(headers.get("Date", ""))
        if date is None:
            return Observed(started - _WITHOUT_DATE, ended + _WITHOUT_DATE)
        self._on_server_time(date, started, ended)
        return Observed(date - elapsed, date + 1000)


def http_date(text: str) -> Millis | None:
    """Read an HTTP date; None when it is none."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * 1000
    except (ValueError, TypeError):
        return None


def _retry_after(headers: Mapping[str, str], now: Millis) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    date = http_date(text)
    return None if date is None else max(0.0, (date - now) / 1000)
