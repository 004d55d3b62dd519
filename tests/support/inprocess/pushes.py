"""Pushes that no package made: documents signed and sent by hand, at the time of the org's clock."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import aiohttp
import msgspec

from tests.support.inprocess.stand import TOKEN, Row, Stand


def signed(org: Stand, body: bytes, webhook_id: str) -> dict[str, str]:
    """The headers of a push, after the Standard Webhooks specification."""
    stamp = str(org.now() // 1000)
    content = f"{webhook_id}.{stamp}.".encode() + body
    mac = hmac.new(TOKEN.encode(), content, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def document(org: Stand, changes: list[Row]) -> bytes:
    """A push of changes as of now."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(org.now() / 1000))
    head = {"v": 1, "kind": "changes", "org": org.org.org_id, "pkg": "1.0.0", "sent": at, "read_at": at}
    return msgspec.json.encode({**head, "changes": changes})


async def push(org: Stand, body: bytes, webhook_id: str) -> dict[str, Any]:
    """Send it to the gateway; the answer's body."""
    assert org.parts.gateway is not None
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"http://{org.parts.gateway.address}/v1/push", data=body, headers=signed(org, body, webhook_id)
        ) as answer,
    ):
        return {"status": answer.status, **await answer.json()}


async def settle(org: Stand) -> None:
    """Apply what has come, and fetch what it asks for."""
    while await org.parts.services.realtime.apply_batch():
        pass
    await org.repair()
