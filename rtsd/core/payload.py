"""The push document of contract section 3, parsed from bytes into typed values."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso
from rtsd.core.server_clock import MAX_CLOCK_SKEW_MS
from rtsd.errors import MalformedPush

MAX_DOCUMENT = 12 * 1024 * 1024
"""The largest document that is accepted, in bytes (contract section 3)."""


class PushedChange(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One element of `changes`, as sent."""

    object: str
    op: Literal["create", "update", "delete", "undelete"]
    id: str
    modstamp: str | None = None
    changed: list[str] = []
    by: str | None = None
    master: str | None = None
    fields: dict[str, Any] | None = None
    partial: bool = False
    """A change event of Change Data Capture: only these fields are known, `modstamp` may be older than the
    record's SystemModstamp, and `read_at` is the second of its commit."""

    def without_fields(self) -> PushedChange:
        """Return the change as if its values had to be fetched."""
        return msgspec.structs.replace(self, fields=None, partial=self.partial and self.op == "delete")


class _Document(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    v: Literal[1]
    org: str
    sent: str | None = None
    pkg: str | None = None
    attempt: int = 0
    """From 1 on; 0 if it is not stated."""


class Changes(_Document, tag_field="kind", tag="changes"):
    """A batch of changes, read back from the database at `read_at`."""

    changes: list[PushedChange]
    read_at: str | None = None


class Heartbeat(_Document, tag_field="kind", tag="heartbeat"):
    """The package's periodic sign of life, with its settings."""

    settings: dict[str, Any] = {}
    triggers: list[str] | None = None
    async_: dict[str, Any] = msgspec.field(default={}, name="async")
    errors_24h: int = 0
    relay: dict[str, Any] | None = None
    """The state of the relay, and whether it passed this heartbeat on; None from an older package."""


class Test(_Document, tag_field="kind", tag="test"):
    """An administrator's ping: displayed, without any effect on the mirror."""


Push = Changes | Heartbeat | Test

MAX_DEPTH = 32
"""The deepest nesting of a value, below the limits of the code that encodes and parses it again later."""

_NESTED = frozenset({dict, list})
_SPACED_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
_QUOTED = re.compile(r"'[^']*'?|\"[^\"]*\"?")
_DECODER = msgspec.json.Decoder(Push)
_ANY_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


def parse_push(body: bytes) -> Push:
    """Parse a push. Raises MalformedPush, which names the offending place."""
    try:
        push: Push = _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _malformed(error) from error
    try:
        _check_keys(body, push)
        push.org = full_id(push.org)
        if push.sent is not None:
            from_iso(push.sent)
        if isinstance(push, Changes):
            _normalise(push)
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from error
    return push


def read_push(body: bytes) -> Push:
    """Parse a push that `encode_push` wrote. Raises MalformedPush, as for the format of an older rtsd."""
    try:
        push: Push = _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _malformed(error) from error
    return push


def _check_keys(body: bytes, push: Push) -> None:
    """Reject duplicate keys and values nested too deep. Raises ValueError.

    Each key is followed by a colon, so if the body has as many quote-colon pairs as distinct keys, no key is
    duplicated. The keys are counted in the push, as a push of the package states no others. A body whose
    counts differ is parsed without types, which finds keys that are unknown or state a default, and only one
    that differs still, such as one with `":` inside a text, is parsed once more.
    """
    pairs = body.count(b'":')
    is_spaced = any(colon[:1] in body and colon in body for colon in _SPACED_COLONS)
    if not is_spaced and isinstance(push, Changes) and pairs == _count_stated(push):
        return
    keys = _count_keys(_ANY_DECODER.decode(body), 0)
    if is_spaced or pairs != keys:
        json.loads(body, object_pairs_hook=_reject_duplicates)


def _count_stated(push: Changes) -> int:
    """Count the keys of a push, without those that state a default; 0 for a push with nested values."""
    keys = 4 + sum(map(bool, (push.sent, push.pkg, push.attempt, push.read_at)))  # v, kind, org, changes
    for change in push.changes:
        keys += 3 + sum(map(bool, (change.modstamp, change.changed, change.by, change.master)))
        if change.fields is not None:
            keys += 1 + len(change.fields)
            if not _NESTED.isdisjoint(map(type, change.fields.values())):
                return 0
    return keys


def _count_keys(value: dict[str, Any] | list[Any], depth: int) -> int:
    if depth > MAX_DEPTH:
        raise ValueError(f"a value is nested deeper than {MAX_DEPTH} levels")
    keys = len(value) if isinstance(value, dict) else 0
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            keys += _count_keys(inner, depth + 1)
    return keys


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> None:
    """Reject an object with a duplicate key: parsers differ on which value counts."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("an object has a duplicate key")


def _malformed(error: Exception) -> MalformedPush:
    """The problem and its place, without the value: personal data must not reach the error log."""
    return MalformedPush(f"not a push document: {_QUOTED.sub('…', str(error))[:200]}")


def encode_push(push: Push) -> bytes:
    """Encode a push for the inbox."""
    return _ENCODER.encode(push)


def observed_at(push: Changes, arrived: Millis) -> Millis:
    """The time at which the package read the rows back; all times are on Salesforce's clock (ms).

    That of its arrival if the push does not state it, or states a later one than clocks explain: such a push
    would outrank every other observation until then.
    """
    moment = push.read_at or push.sent
    read_at = from_iso(moment) if moment else arrived
    return read_at if read_at <= arrived + MAX_CLOCK_SKEW_MS else arrived


def _normalise(push: Changes) -> None:
    if push.read_at is not None:
        from_iso(push.read_at)
    for change in push.changes:
        change.id = full_id(change.id)
        if change.master is not None:
            change.master = full_id(change.master)
        if change.modstamp is not None:
            from_iso(change.modstamp)
