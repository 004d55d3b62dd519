"""Verification of a push's signature (`rtsd.core.signature`) on its bytes.

`webhook-signature` is a space-separated list of `v1,<base64 HMAC-SHA256>`. The reference verifier for Python
fails on malformed headers and accepts ids with dots, which shift the boundary between id and body. This
verifier checks the form of the headers first.
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
"""The maximum deviation of `webhook-timestamp` in either direction."""

_HEADERS = tuple(istr(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
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

    @classmethod
    def of(cls, headers: MultiMapping[str]) -> Self:
        """Read the headers of a request. Parsers differ on repeated headers, so those are ignored."""
        found = [headers.getall(name, ()) for name in _HEADERS]
        return cls(*(values[0] if len(values) == 1 else "" for values in found))


def verify(secrets: Sequence[bytes], signed: SignatureHeaders, body: bytes, now: Millis) -> None:
    """Require a signature made with one of `secrets` within 300 s of `now` (ms). Raises BadSignature.

    Makes every comparison, each in constant time.
    """
    webhook_id, timestamp, signatures = signed
    if not _ID.fullmatch(webhook_id):
        raise BadSignature("webhook-id is missing or not 1..128 letters, digits, _ and -", _CHECK_TOKEN)
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("webhook-timestamp is missing or not in unix seconds", _CHECK_TOKEN)
    if abs(now // 1000 - int(timestamp)) > TOLERANCE_S:
        raise BadSignature(f"webhook-timestamp deviates by more than {TOLERANCE_S} s", _CHECK_SKEW)
    offered = signatures.split(" ") if len(signatures) <= _MAX_HEADER else []
    if not 0 < len(offered) <= _MAX_SIGNATURES:
        raise BadSignature("webhook-signature is missing or too long", _CHECK_TOKEN)
    wanted = [sign(secret, webhook_id, int(timestamp), body).encode() for secret in secrets]
    matches = [
        hmac.compare_digest(candidate.encode("ascii", "replace"), expected)
        for candidate in offered
        for expected in wanted
    ]
    if not any(matches):
        raise BadSignature("webhook-signature does not match", _CHECK_TOKEN)
