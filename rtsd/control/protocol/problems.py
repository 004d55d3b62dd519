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
    """When it was lost."""
    reason: str
    message: str
    object: str | None = None
    record: str | None = None
    attempts: int = 1
    tried_at: str | None = None
    """When it was last tried again, and failed again."""
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
    """`POST /v1/dead-letters/{id}/retry`: it is tried again; with `wait=1` how that ended, within seconds."""

    retried: bool = True
    outcome: str = "waiting"
    """applied, delivered, failed, or waiting: it is not tried yet, and `GET /v1/dead-letters` tells later."""
    error: str | None = None
    """The reason why it failed again, as in `GET /v1/dead-letters`."""
    reason: str | None = None
    """The same in words, without a value of the record."""
    do: str | None = None
    """What to do about that."""


class Dropped(msgspec.Struct, kw_only=True):
    """`POST /v1/dead-letters/{id}/drop`."""

    dropped: bool = True
