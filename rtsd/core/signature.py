"""Push tokens and the signature of Standard Webhooks 1.0.0, which pushes and webhook deliveries carry.

The signed content is `{webhook-id}.{webhook-timestamp}.{raw body}`; the key is the secret's own bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac


def sign(secret: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the `v1,…` signature of one attempt; `timestamp` in unix seconds."""
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def key_id(token: bytes) -> str:
    """Return the first 8 hex digits of the token's SHA-256: enough to tell tokens apart, useless to sign."""
    return hashlib.sha256(token).hexdigest()[:8]
