"""The signature of Standard Webhooks 1.0.0, as pushes carry it and deliveries do.

Signed is `{webhook-id}.{webhook-timestamp}.{raw body}`; the key is the bytes of the secret as it is written.
"""

from __future__ import annotations

import base64
import hmac


def sign(secret: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the `v1,…` signature of one attempt; `timestamp` in unix seconds."""
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
