"""The signature of a push (`rtsd.core.signature`), checked on bytes.

`webhook-signature` is a space-separated list of `v1,<base64 HMAC-SHA256>`. The ecosystem's Python verifier
raises on malformed headers and takes ids with dots, which shift the boundary between id and body; hence this
one, strict about form first.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple, Self

from multidict import MultiMapping, istr

from rtsd.core.instant import Millis
from rtsd.core.signature import sign
from rtsd.errors import BadSignature

TOLERANCE_S = 300
"""How far `webhook-timestamp` may be off, both ways."""

_HEADERS = tuple(istr(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{10}")
_MAX_HEADER = 1024
_MAX_SIGNATURES = 8
_CHECK_SKEW = "check the clocks of this machine and of the sender"
_CHECK_TOKEN = "check that Token__c in RTS_Settings__c is a line of the gateway's token_file"  # noqa: S105 - no secret


class Stamp(NamedTuple):
    """The three headers of a signed push, as they came; `` where one is missing or comes twice."""

    webhook_id: str
    timestamp: str
    signatures: str

    @classmethod
    def of(cls, headers: MultiMapping[str]) -> Self:
        """Take them from a request. What comes twice is read otherwise by others, so it is not read."""
        found = [headers.getall(name, ()) for name in _HEADERS]
        return cls(*(values[0] if len(values) == 1 else "" for values in found))


def verify(secrets: Sequence[bytes], stamp: Stamp, body: bytes, now: Millis) -> None:
    """Return when one signature was made with one of `secrets`, at most 300 s ago.

    Raises BadSignature otherwise. Every comparison is made, each in constant time.
    """
    webhook_id, timestamp, signatures = stamp
    if not _ID.fullmatch(webhook_id):
        raise BadSignature("webhook-id is missing or not 1..128 letters, digits, _ and -", _CHECK_TOKEN)
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("webhook-timestamp is missing or not in unix seconds", _CHECK_TOKEN)
    if abs(now // 1000 - int(timestamp)) > TOLERANCE_S:
        raise BadSignature(f"webhook-timestamp is more than {TOLERANCE_S} s off", _CHECK_SKEW)
    offered = signatures.split(" ") if len(signatures) <= _MAX_HEADER else []
    if not 0 < len(offered) <= _MAX_SIGNATURES:
        raise BadSignature("webhook-signature is missing or too long", _CHECK_TOKEN)
    wanted = [sign(secret, webhook_id, int(timestamp), body).encode() for secret in secrets]
    matches = [
        hmac.compare_digest(one.encode("ascii", "replace"), other) for one in offered for other in wanted
    ]
    if not any(matches):
        raise BadSignature("webhook-signature does not match", _CHECK_TOKEN)
