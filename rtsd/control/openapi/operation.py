"""One operation of the control API: a method and a path, what it takes, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtsd import errors
from rtsd.control import protocol
from rtsd.errors import RtsError

JSON = "application/json"
NDJSON = "application/x-ndjson"

COMMON = (errors.UsageError, errors.StoreError, errors.LeaderAway)
"""What every route may answer: the request is malformed; the store, or the node that leads, is away."""
ORG = (errors.SalesforceError, errors.QuotaExhausted)
"""What a route that asks the org may answer, too."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query; `kind` is its type in JSON Schema."""

    name: str
    kind: Mapping[str, Any]
    text: str
    example: Any
    required: bool = False
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """An answer that no wire type describes; `example` is its text."""

    media: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    example: str | None = None


Example = msgspec.Struct | list[protocol.SeenNode] | Content


@dataclass(frozen=True, slots=True)
class Operation:
    """A route as the document describes it.

    `answers` has examples of the answers by status. Their types are the types of the answers; `body` is an
    example of the request's body. `errors` are those beyond COMMON. `lines` is True where each answer is one
    line of NDJSON.
    """

    method: str
    path: str
    name: str
    summary: str
    answers: Mapping[int, Sequence[Example]]
    body: msgspec.Struct | None = None
    parameters: Sequence[Parameter] = ()
    errors: Sequence[type[RtsError]] = ()
    text: str = ""
    lines: bool = False

    def types(self, status: int) -> list[Any]:
        """Return the types of the answers with a status, each once."""
        found = [
            list[type(example[0])] if isinstance(example, list) else type(example)  # type: ignore[misc]
            for example in self.answers[status]
            if not isinstance(example, Content)
        ]
        return list(dict.fromkeys(found))


def switch(name: str, text: str, *, default: bool = False, deprecated: bool = False) -> Parameter:
    """Return a parameter that is on or off: 0, false and nothing are off."""
    kind = {"type": "string", "default": "1" if default else "0"}
    return Parameter(name, kind, text, "0" if default else "1", deprecated=deprecated)


def number(name: str, text: str, *, default: int | None = None, most: int | None = None) -> Parameter:
    """Return a parameter that is a whole number of 0 or more; more than `most` counts as `most`."""
    kind: dict[str, Any] = {"type": "integer"}
    if default is not None:
        kind["default"] = default
    if most is not None:
        text = f"{text} More than {most:,} counts as {most:,}."
    return Parameter(name, kind, text, default or 4711)


def text(name: str, said: str, example: str, *, required: bool = False) -> Parameter:
    """Return a parameter that is a text."""
    return Parameter(name, {"type": "string"}, said, example, required=required)


def moment(name: str, said: str) -> Parameter:
    """Return a parameter that is a moment."""
    kind = {"type": "string", "format": "date-time"}
    return Parameter(name, kind, f"{said} A moment in ISO 8601 with a zone.", "2026-03-01T10:00:00Z")
