"""One record: as the mirror has it, its past, and an explanation."""

from __future__ import annotations

from typing import Any

import msgspec

from rtsd.control.protocol.events import Event


class MirrorRecord(msgspec.Struct, kw_only=True):
    """A record as the mirror has it. `state`: live, deleted."""

    state: str
    values: dict[str, Any] | None = None
    """By column; of a deleted record the last ones, None where there are none."""
    seen_at: str | None = None
    source: str | None = None
    """The source that brought a live record."""
    partial: bool = False
    """Whether the newest change told only some of the values, as a change event does."""
    deleted_at: str | None = None
    master: str | None = None
    """The winner of the merge that deleted it."""


class Record(MirrorRecord, kw_only=True):
    """`GET /v1/objects/{o}/records/{id}`."""

    object: str
    id: str


class OrgRecord(msgspec.Struct, kw_only=True):
    """A record as the org shows it to the sync user."""

    visible: bool
    deleted: bool | None = None
    """True if it is in the recycle bin."""
    values: dict[str, Any] | None = None


class FieldChange(msgspec.Struct, kw_only=True, rename={"before": "from", "after": "to"}):
    """A field's value `from` and `to`."""

    before: Any = None
    after: Any = None


class Version(msgspec.Struct, kw_only=True):
    """One change of a record, and the source that brought it."""

    seq: int
    at: str
    op: str | None = None
    source: str | None = None
    changed: dict[str, FieldChange] = msgspec.field(default_factory=dict)
    """By column; empty for a deletion."""
    master: str | None = None
    """The winner, where a merge deleted the record."""


class History(msgspec.Struct, kw_only=True):
    """`GET /v1/objects/{o}/records/{id}/history`: the record now, and its versions, oldest first."""

    object: str = ""
    id: str = ""
    now: MirrorRecord | None = None
    versions: list[Version] = msgspec.field(default_factory=list)


class PastRecord(msgspec.Struct, kw_only=True):
    """`GET /v1/objects/{o}/records/{id}/history?at=…`: the record as it was then."""

    object: str = ""
    id: str = ""
    at: str = ""
    values: dict[str, Any] | None = None
    """None if it was deleted, or if its values then are unknown."""
    unknown: list[str] = msgspec.field(default_factory=list)
    """Fields that the mirror did not have then, which are not among the values."""
    deleted: bool = False
    source: str | None = None
    """What brought it; None where the journal does not know it any more."""


class ObjectFacts(msgspec.Struct, kw_only=True):
    """The facts about an object that explain its records."""

    state: str = ""
    error: str | None = None
    as_of: str | None = None
    proven_at: str | None = None
    conditions: list[str] = msgspec.field(default_factory=list)
    where: str = ""
    privacy: dict[str, str] = msgspec.field(default_factory=dict)


class Why(msgspec.Struct, kw_only=True):
    """`GET /v1/objects/{o}/records/{id}/why`: everything that touched a record.

    Without the org's answer (`?org=0`) `org` and `equal` are None.
    """

    object: str
    id: str
    mirror: MirrorRecord | None = None
    org: OrgRecord | None = None
    equal: bool | None = None
    events: list[Event] = msgspec.field(default_factory=list)
    """Oldest first."""
    dead_letters: int = 0
    to_be_fetched: str | None = None
    """Why it is about to be fetched, if it is."""
    mirrored: ObjectFacts = msgspec.field(default_factory=ObjectFacts)
