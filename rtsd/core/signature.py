"""Push tokens and the signature of Standard Webhooks 1.0.0, which pushes and webhook deliveries carry.

The signed content is `{webhook-id}.{webhook-timestamp}.{raw body}`; the key is the secret's own bytes. The
reference verifier for Python fails on malformed headers and accepts ids with dots, which shift the boundary
between id and body. This verifier checks their form first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple

from rtsd.core.instant import Millis
from rtsd.errors import BadSignature

TOLERANCE_S = 300
"""The maximum deviation of `webhook-timestamp` in either direction, where a push is posted."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{10}")
_MAX_HEADER = 1024
_MAX_SIGNATURES = 8
_CHECK_SKEW = "check the clocks of this machine and of the sender"
_CHECK_TOKEN = "check that Token__c in RTS_Settings__c is a line of the gateway's token_file"  # noqa: S105 - no secret


class SignatureHeaders(NamedTuple):
    """The three signature headers of a push as received; `""` for a missing or repeated header."""

    webhook_id: str
    timestamp: str
    signatures: str


def sign(secret: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the `v1,…` signature of one attempt; `timestamp` in unix seconds."""
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def verify(
    secrets: Sequence[bytes],
    signed: SignatureHeaders,
    body: bytes,
    now: Millis,
    tolerance_s: int | None = TOLERANCE_S,
) -> bytes:
    """Require a signature made with one of `secrets`, and return that secret.

    The timestamp may deviate from `now` (ms) by `tolerance_s`; by any time if that is None, as for events,
    which the bus keeps for days. Makes every comparison, each in constant time. Raises BadSignature.
    """
    webhook_id, timestamp, signatures = signed
    if not _ID.fullmatch(webhook_id):
        raise BadSignature("webhook-id is missing or not 1..128 letters, digits, _ and -", _CHECK_TOKEN)
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("webhook-timestamp is missing or not in unix seconds", _CHECK_TOKEN)
    if tolerance_s is not None and abs(now // 1000 - int(timestamp)) > tolerance_s:
        raise BadSignature(f"webhook-timestamp deviates by more than {tolerance_s} s", _CHECK_SKEW)
    offered = signatures.split(" ") if len(signatures) <= _MAX_HEADER else []
    if not 0 < len(offered) <= _MAX_SIGNATURES:
        raise BadSignature("webhook-signature is missing or too long", _CHECK_TOKEN)
    wanted = [(secret, sign(secret, webhook_id, int(timestamp), body).encode()) for secret in secrets]
    matches = [
        secret
        for candidate in offered
        for secret, expected in wanted
        if hmac.compare_digest(candidate.encode("ascii", "replace"), expected)
    ]
    if not matches:
        raise BadSignature("webhook-signature does not match", _CHECK_TOKEN)
    return matches[0]


def key_id(token: bytes) -> str:
    """Return the first 8 hex digits of the token's SHA-256: enough to tell tokens apart, useless to sign."""
    return hashlib.sha256(token).hexdigest()[:8]
