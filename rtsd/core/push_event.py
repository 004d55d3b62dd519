"""The package's platform event `RTS_Push__e`: a push document, or a part of one (contract section 8)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from rtsd.core.event_parts import Document, Part
from rtsd.core.instant import Millis
from rtsd.core.payload import MAX_DOCUMENT, Push, parse_push
from rtsd.core.seal import SealRule, unseal
from rtsd.core.signature import SignatureHeaders, verify
from rtsd.errors import MalformedPush, PushTooLarge, WrongOrg


class _Event(msgspec.Struct):
    webhook_id: str = msgspec.field(name="Id__c")
    timestamp: str = msgspec.field(name="Timestamp__c")
    signatures: str = msgspec.field(name="Signature__c")
    body: str = msgspec.field(name="Body__c")
    part: int = msgspec.field(name="Part__c")
    parts: int = msgspec.field(name="Parts__c")
    sealed: bool | None = msgspec.field(name="Sealed__c", default=None)


class OpenedPush(NamedTuple):
    """A verified push with the id that marks its repetitions, and when it was signed (ms)."""

    webhook_id: str
    push: Push
    signed_at: Millis


def part_of(values: Mapping[str, Any]) -> Part:
    """Return the part that a decoded event carries. Raises MalformedPush for another event."""
    numbers = {name: _whole(values.get(name)) for name in ("Part__c", "Parts__c")}
    try:
        event = msgspec.convert({**values, **numbers}, _Event)
    except (msgspec.ValidationError, TypeError) as error:
        raise MalformedPush("not an event of the package: a field is missing, or of another type") from error
    signed = SignatureHeaders(event.webhook_id, event.timestamp, event.signatures)
    return Part(signed, event.part, event.parts, bool(event.sealed), event.body)


def _whole(value: Any) -> Any:
    """A number field arrives as double."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def opened(
    document: Document, secrets: Sequence[bytes], org_id: str | None, seal_rule: SealRule
) -> OpenedPush:
    """Verify, unseal and parse a document; `org_id` is the org whose pushes are accepted, if it is known.

    Raises BadSignature, MalformedPush, PushTooLarge, UnsealedPush or WrongOrg.
    """
    try:
        payload = base64.b64decode(document.text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedPush("the event's body is not base64") from None
    if len(payload) > MAX_DOCUMENT:
        raise PushTooLarge(f"a document of {len(payload)} bytes; at most {MAX_DOCUMENT} are accepted")
    secret = verify(secrets, document.signed, payload, now=0, tolerance_s=None)
    signed_at = int(document.signed.timestamp)
    seal_rule.check(signed_at, sealed=document.sealed)
    push = parse_push(unseal(secret, payload) if document.sealed else payload)
    if org_id is not None and push.org != org_id:
        raise WrongOrg(
            f"correctly signed, but published by org {push.org}, which is not the one that rtsd reads",
            "set Token__c in the other org's RTS_Settings__c to another token",
        )
    return OpenedPush(document.signed.webhook_id, push, signed_at * 1000)
