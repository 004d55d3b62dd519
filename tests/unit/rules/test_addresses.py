"""Where webhooks may lead to."""

from __future__ import annotations

import asyncio

import pytest

from rtsd.rules import webhook
from rtsd.rules.rule import Webhook
from rtsd.rules.webhook import Addresses, refused

ALLOWED: dict[str, tuple[bool, bool, bool]] = {
    "93.184.216.34": (True, True, True),
    "2606:2800:220:1::1": (True, True, True),
    "127.0.0.1": (False, True, True),
    "10.1.2.3": (False, True, True),
    "192.168.0.1": (False, True, True),
    "fd00::1": (False, True, True),
    "::1": (False, True, True),
    "169.254.169.254": (False, False, True),
    "::ffff:169.254.169.254": (False, False, True),
    "fe80::1%eth0": (False, False, True),
    "0.0.0.0": (False, False, True),
}


@pytest.mark.parametrize("address", ALLOWED)
def test_what_each_setting_allows(address: str) -> None:
    """Link-local addresses only if asked for, private ones unless forbidden."""
    settings: tuple[Addresses, ...] = ("public", "private", "any")
    assert tuple(refused(address, allowed) == "" for allowed in settings) == ALLOWED[address]


async def test_the_address_is_judged_at_the_connection() -> None:
    """A receiver in reach is not connected to where its address is not allowed; the reason says so."""
    met = 0

    async def meet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal met
        met += 1
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for host in ("127.0.0.1", "localhost"):
            for allowed, outcome in (("public", "failed"), ("private", "delivered")):
                async with webhook.client_session(allowed) as http:  # type: ignore[arg-type]  # each is one
                    hook = Webhook(f"http://{host}:{port}/", b"k", 5_000)
                    result = await webhook.post(http, hook, "msg_1", b"{}", 0)
                assert result.outcome == outcome, result
    assert met == 2
