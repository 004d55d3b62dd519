"""What goes wrong: refusals, the error log, dead letters."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, kw_only=True):
    """Something that is wrong, and the way to put it right."""

    what: str
    do: str = ""


class Failure(msgspec.Struct, kw_only=True):
    """The body of every error answer, on the socket and on the gateway."""

    error: str
    message: str


class ErrorEntry(msgspec.Struct, kw_only=True):
    """One row of the error log; an error that repeats is one row with a count."""

    seq: int
    at: str
    error: str
    message: str
    object: str | None = None
    count: int = 1


class Errors(msgspec.Struct, kw_only=True):
    """`GET /v1/errors`, newest first."""

    errors: list[ErrorEntry]


class DeadLetter(msgspec.Struct, kw_only=True):
    """A push that could not be applied, or a delivery that its receiver never accepted."""

    id: int
    at: str
    reason: str
    message: str
    object: str | None = None
    record: str | None = None
    attempts: int = 1
    kind: str = "push"
    """push, or delivery: sent for a rule or an alert."""
    rule: str | None = None
    """The rule or alert of a delivery."""


class DeadLetterDetails(DeadLetter, kw_only=True):
    """`GET /v1/dead-letters/{id}`: with its document, under the name of its kind."""

    push: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    delivery: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class DeadLetters(msgspec.Struct, kw_only=True):
    """`GET /v1/dead-letters`, newest first."""

    dead_letters: list[DeadLetter]


class Retried(msgspec.Struct, kw_only=True):
    """`POST /v1/dead-letters/{id}/retry`: it is tried again; `GET /v1/dead-letters` tells if that failed."""

    retried: bool = True


class Dropped(msgspec.Struct, kw_only=True):
    """`POST /v1/dead-letters/{id}/drop`."""

    dropped: bool = True
