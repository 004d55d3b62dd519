"""A push that cannot be used, so that the demo has a dead letter to look at, to retry and to drop."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from rtsd.core.instant import to_iso
from rtsd.core.signature import sign
from rtsd.machine import wall_ms

OBJECT, RECORD = "Survey__c", "a0SQx0000000001AAA"
"""An object that nobody mirrors here, and a record of it."""


async def push_stray(gateway: str, org: str, token: str) -> None:
    """Push one change of an object that is not mirrored, as the package would."""
    now = wall_ms()
    moment = to_iso(now)
    change: dict[str, Any] = {"object": OBJECT, "op": "create", "id": RECORD, "modstamp": moment}
    document = {"v": 1, "kind": "changes", "org": org, "pkg": "1.0.0", "attempt": 1, "sent": moment}
    body = msgspec.json.encode({**document, "read_at": moment, "changes": [change]})
    stamp, name = now // 1000, f"stray-{now}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(token.encode(), name, stamp, body),
    }
    url = f"http://{gateway}/v1/push"
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as answer:
        answer.raise_for_status()
