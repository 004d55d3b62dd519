"""The push document of contract section 3: from bytes to typed values, or MalformedPush."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso
from rtsd.errors import MalformedPush


class PushedChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One element of `changes`, as sent."""

    object: str
    op: Literal["create", "update", "delete", "undelete"]
    id: str
    modstamp: str | None = None
    changed: list[str] = []
    by: str | None = None
    master: str | None = None
    fields: dict[str, Any] | None = None


class _Document(msgspec.Struct, kw_only=True, omit_defaults=True):
    v: Literal[1]
    org: str
    sent: str | None = None
    pkg: str | None = None
    attempt: int = 1


class Changes(_Document, tag_field="kind", tag="changes"):
    """A batch of changes, read back from the database at `read_at`."""

    changes: list[PushedChange]
    read_at: str | None = None


class Heartbeat(_Document, tag_field="kind", tag="heartbeat"):
    """A sign of life of the package, with its settings."""

    settings: dict[str, Any] = {}
    triggers: list[str] | None = None
    async_: dict[str, Any] = msgspec.field(default={}, name="async")
    errors_24h: int = 0


class Test(_Document, tag_field="kind", tag="test"):
    """An admin's ping: shown, changes nothing."""


Push = Changes | Heartbeat | Test

MOST_DEPTH = 32
"""How deep a value may be nested: it is encoded and parsed again later, within limits of their own."""

_SPACED_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
_QUOTED = re.compile(r"'[^']*'?|\"[^\"]*\"?")
_DECODER = msgspec.json.Decoder(Push)
_ANY_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


def parse_push(body: bytes) -> Push:
    """Read a push. Raises MalformedPush, naming the place, when it is not such a document."""
    try:
        push: Push = _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _malformed(error) from error
    try:
        _check_keys(body)
        push.org = full_id(push.org)
        if push.sent is not None:
            from_iso(push.sent)
        if isinstance(push, Changes):
            _normalise(push)
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from error
    return push


def read_push(body: bytes) -> Push:
    """Read a push that `encode_push` wrote. Raises MalformedPush: an older rtsd's differs."""
    try:
        push: Push = _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _malformed(error) from error
    return push


def _check_keys(body: bytes) -> None:
    """Refuse an object that has a key twice, and values nested too deep. Raises ValueError.

    Each key is followed by a colon: where there are as many quotes before a colon as keys were read, none
    came twice. Only what does not add up, as text with a colon after a quote, is looked at closely.
    """
    keys = _count_keys(_ANY_DECODER.decode(body), 0)
    if body.count(b'":') != keys or any(spaced in body for spaced in _SPACED_COLONS):
        json.loads(body, object_pairs_hook=_without_doubles)


def _count_keys(value: dict[str, Any] | list[Any], depth: int) -> int:
    if depth > MOST_DEPTH:
        raise ValueError(f"a value is nested deeper than {MOST_DEPTH} levels")
    keys = len(value) if isinstance(value, dict) else 0
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            keys += _count_keys(inner, depth + 1)
    return keys


def _without_doubles(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that has a key twice: which of the values is meant, parsers decide differently."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key comes twice in one object")


def _malformed(error: Exception) -> MalformedPush:
    """Say what is wrong and where, without the value, which is somebody's and would be in the error log."""
    return MalformedPush(f"not a push document: {_QUOTED.sub('…', str(error))[:200]}")


def encode_push(push: Push) -> bytes:
    """The document as it is kept in the inbox."""
    return _ENCODER.encode(push)


def observed_at(push: Changes, fallback: Millis) -> Millis:
    """When its rows were read back, on Salesforce's clock; `fallback` if it does not say."""
    moment = push.read_at or push.sent
    return from_iso(moment) if moment else fallback


def _normalise(push: Changes) -> None:
    if push.read_at is not None:
        from_iso(push.read_at)
    for change in push.changes:
        change.id = full_id(change.id)
        if change.master is not None:
            change.master = full_id(change.master)
        if change.modstamp is not None:
            from_iso(change.modstamp)
