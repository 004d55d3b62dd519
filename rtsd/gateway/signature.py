"""The signature headers of a request (`rtsd.core.signature` verifies them)."""

from __future__ import annotations

from multidict import MultiMapping, istr

from rtsd.core.signature import SignatureHeaders

_HEADERS = tuple(istr(f"webhook-{name}") for name in ("id", "timestamp", "signature"))


def signature_headers(headers: MultiMapping[str]) -> SignatureHeaders:
    """Read the headers of a request. Parsers differ on repeated headers, so those are ignored."""
    found = [headers.getall(name, ()) for name in _HEADERS]
    return SignatureHeaders(*(values[0] if len(values) == 1 else "" for values in found))
