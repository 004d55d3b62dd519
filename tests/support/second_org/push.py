"""Pushes as contract section 3 words them, signed by code of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.second_org.data import ORG_ID, USER_ID
from tests.support.second_org.home import TOKEN
from tests.support.second_org.org import Org

DATETIME = "%Y-%m-%dT%H:%M:%S.000+0000"


@dataclass
class Reply:
    """What the gateway answered."""

    status: int
    body: Any
    headers: dict[str, str]


def change(org: Org, name: str, op: str, key: str, **more: Any) -> dict[str, Any]:
    """One change as the record is now; `more` replaces keys, and None takes one away."""
    row = org.records.objects[name].rows.get(key, {})
    stamp = row.get("SystemModstamp") or org.records.stamp()
    told: dict[str, Any] = {"object": name, "op": op, "id": key, "modstamp": stamp.strftime(DATETIME)}  # type: ignore[union-attr]
    told["by"] = USER_ID
    if op != "delete":
        told["fields"] = {k: v for k, v in org.image(name, key).items() if not isinstance(v, dict)}
    return {key: value for key, value in (told | more).items() if value is not None}


def document(org: Org, *changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A push of kind `changes`; `more` replaces keys."""
    now = org.records.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {"v": 1, "kind": "changes", "org": ORG_ID, "pkg": "1.0.0", "attempt": 1, "sent": now}
    return told | {"read_at": now, "changes": list(changes)} | more


def signed(body: bytes, webhook_id: str, token: str = TOKEN, late_s: int = 0) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0.0; a stranger's signature stands before the right one."""
    stamp = str(int(time.time()) - late_s)
    mac = hmac.new(token.encode(), f"{webhook_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": webhook_id,
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{base64.b64encode(b'x' * 32).decode()} v1,{base64.b64encode(mac).decode()}",
        "Content-Type": "application/json",
    }


async def post(
    port: int,
    told: Any,
    *,
    webhook_id: str | None = None,
    token: str = TOKEN,
    late_s: int = 0,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Send a push, given as a document or as bytes."""
    body = told if isinstance(told, bytes) else json.dumps(told, ensure_ascii=False).encode()
    sent = signed(body, webhook_id or f"msg_{secrets.token_hex(8)}", token, late_s) | (headers or {})
    url = f"http://127.0.0.1:{port}/v1/push"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=sent) as answer:
        text = await answer.text()
        parsed = json.loads(text) if "json" in answer.content_type else text
        return Reply(answer.status, parsed, dict(answer.headers))
