"""One try to deliver by HTTP: a POST signed after Standard Webhooks (contract section 7).

No redirect is followed: the next host is nobody's that was configured, and the signature is for this one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from email.utils import parsedate_to_datetime

import aiohttp

from rtsd import __version__
from rtsd.core.instant import Millis
from rtsd.core.signature import sign
from rtsd.rules.rule import Tried, Webhook

MOST_READ = 65_536
"""Bytes of an answer that are read, so that the connection can serve again; nothing of it is used."""
DRAIN_S = 2.0
_OVERLOADED = frozenset({429, 503})
_LONGEST_REASON = 200


def client_session() -> aiohttp.ClientSession:
    """Open what all deliveries share: no cookies, nothing unpacked, no proxy out of the environment."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": f"rtsd/{__version__}"},
    )


async def post(
    http: aiohttp.ClientSession, webhook: Webhook, webhook_id: str, body: bytes, now: Millis
) -> Tried:
    """Send one document, signed as of `now`, and say what came of it."""
    seconds = now // 1000
    headers = {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": sign(webhook.secret, webhook_id, seconds, body),
    }
    patience = aiohttp.ClientTimeout(total=webhook.timeout / 1000)
    try:
        async with http.post(
            webhook.url, data=body, headers=headers, allow_redirects=False, timeout=patience
        ) as answer:
            status, retry_after = answer.status, answer.headers.get("Retry-After")
            await _drain(answer)
    except TimeoutError:
        return Tried("failed", f"no answer within {webhook.timeout / 1000:g} s", outage=True)
    except (aiohttp.ClientError, OSError) as error:
        return Tried("failed", _named(error), outage=True)
    if 200 <= status < 300:
        return Tried("delivered", f"HTTP {status}")
    if status == 410:
        return Tried("dropped", "HTTP 410: the receiver wants it no more")
    outage = status >= 500 or status in _OVERLOADED
    return Tried("failed", f"HTTP {status}", outage, _wish(retry_after, now))


async def _drain(answer: aiohttp.ClientResponse) -> None:
    """Read a short answer to its end, for the connection's sake; whatever is wrong with it is no matter."""
    if answer.content_length is not None and answer.content_length <= MOST_READ:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await answer.read()


def _wish(header: str | None, now: Millis) -> Millis | None:
    """Read `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); what is neither counts for nothing."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * 1000
    try:
        return max(round(parsedate_to_datetime(text).timestamp() * 1000) - now, 0)
    except (ValueError, OverflowError):
        return None


def _named(error: Exception) -> str:
    """Say what went wrong on the way, without the URL: its query may hold a key."""
    if isinstance(error, aiohttp.ClientConnectorError):
        cause: Exception = error.os_error
        text = getattr(cause, "strerror", None) or type(cause).__name__
        return f"cannot connect: {text}"[:_LONGEST_REASON]
    return f"the connection broke: {type(error).__name__}"
