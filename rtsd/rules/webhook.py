"""A delivery by HTTP: a POST signed according to Standard Webhooks (contract section 7).

Redirects are not followed: the next host was not configured, and the signature is for this one.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
from aiohttp.connector import AddrInfoType

from rtsd import __version__
from rtsd.core.instant import Millis
from rtsd.core.signature import sign
from rtsd.rules.rule import DeliveryResult, Webhook

MAX_READ = 65_536
"""Bytes read of a response, only to reuse the connection."""
DRAIN_S = 2.0
_OVERLOADED = frozenset({429, 503})
_MAX_REASON = 200


Addresses = Literal["public", "private", "any"]
"""Where webhooks may lead to: the Internet; private networks, too; link-local addresses, too."""


def refused(address: str, allowed: Addresses) -> str:
    """Return what keeps a delivery from an IP address; empty if nothing does.

    Link-local addresses are those of a cloud's metadata service, which hands out credentials.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if allowed != "any" and (ip.is_link_local or ip.is_multicast or ip.is_unspecified):
        return "a link-local, multicast or unspecified address"
    if allowed == "public" and not ip.is_global:
        return "a private address"
    return ""


def client_session(allowed: Addresses = "private") -> aiohttp.ClientSession:
    """Open the session for all deliveries: no cookies, no decompression, no proxy from the environment.

    The address is judged when it is connected to, whatever the name resolved to before.
    """

    def open_socket(found: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = found
        reason = refused(str(address[0]), allowed)
        if reason:
            raise PermissionError(errno.EACCES, f"{reason}, which [webhooks] addresses does not allow")
        return socket.socket(family, kind, protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=open_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": f"rtsd/{__version__}"},
    )


async def post(
    http: aiohttp.ClientSession, webhook: Webhook, webhook_id: str, body: bytes, now: Millis
) -> DeliveryResult:
    """Send a document once, signed as of `now` (ms)."""
    seconds = now // 1000
    headers = {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": sign(webhook.secret, webhook_id, seconds, body),
    }
    limits = aiohttp.ClientTimeout(total=webhook.timeout / 1000)
    try:
        async with http.post(
            webhook.url, data=body, headers=headers, allow_redirects=False, timeout=limits
        ) as response:
            status, retry_after = response.status, response.headers.get("Retry-After")
            await _drain(response)
    except TimeoutError:
        return DeliveryResult("failed", f"no answer within {webhook.timeout / 1000:g} s", outage=True)
    except (aiohttp.ClientError, OSError) as error:
        return DeliveryResult("failed", _named(error), outage=True)
    if 200 <= status < 300:
        return DeliveryResult("delivered", f"HTTP {status}")
    if status == 410:
        return DeliveryResult("dropped", "HTTP 410: the receiver is permanently gone")
    outage = status >= 500 or status in _OVERLOADED
    return DeliveryResult("failed", f"HTTP {status}", outage, _retry_after(retry_after, now))


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short response to its end, to reuse the connection; errors do not matter."""
    if response.content_length is not None and response.content_length <= MAX_READ:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await response.read()


def _retry_after(header: str | None, now: Millis) -> Millis | None:
    """Parse `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); None for anything else."""
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
    """The reason of a connection error, without the URL, whose query may contain a key."""
    if isinstance(error, aiohttp.ClientConnectorError):
        cause: Exception = error.os_error
        text = getattr(cause, "strerror", None) or type(cause).__name__
        return f"cannot connect: {text}"[:_MAX_REASON]
    return f"the connection was interrupted: {type(error).__name__}"
