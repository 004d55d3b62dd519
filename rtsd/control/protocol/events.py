"""The journal, page by page and as a feed (`GET /v1/events`)."""

from __future__ import annotations

from typing import Any

import msgspec

from rtsd.control.protocol.status import Status


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One entry of the journal. It is in no cycle: thousands of them must not slow the collector down.

    `type`: change, mode, audit, drift, repair, quota, error, dead_letter, package, schema, rule,
    assistant, action.
    """

    seq: int
    at: str
    type: str
    object: str | None = None
    id: str | None = None
    op: str | None = None
    source: str | None = None
    outcome: str | None = None
    changed: list[str] | None = None
    latency_ms: int | None = None
    message: str | None = None
    """For people; absent on changes."""
    detail: dict[str, Any] | None = None


class ValueChange(msgspec.Struct, kw_only=True, rename={"before": "from", "after": "to"}):
    """A field's value `from` and `to`; without `to` where it is not known."""

    before: Any = None
    after: Any = msgspec.UNSET


class ChangeValues(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an applied change did to its record. Long texts are cut."""

    seq: int
    name: str | None = None
    """The record's name now, or before its deletion."""
    by: str | None = None
    """Who edited the record, by its LastModifiedById after the change."""
    changed: dict[str, ValueChange] = msgspec.field(default_factory=dict)
    """By field; without those of the system, unless there are no others."""
    more: int = 0
    """Changed fields that are left out."""


class EventValues(msgspec.Struct, kw_only=True):
    """`GET /v1/events/values?seq=…`: the applied changes among these entries, oldest first."""

    values: list[ChangeValues] = msgspec.field(default_factory=list)


class Actions(msgspec.Struct, kw_only=True):
    """`GET /v1/actions`: what operators did, newest first."""

    actions: list[Event] = msgspec.field(default_factory=list)


class Snapshot(msgspec.Struct, kw_only=True, tag="snapshot"):
    """The first line of a followed feed."""

    status: Status


class Lagged(msgspec.Struct, kw_only=True, tag="lagged"):
    """The last line to a reader that was too slow: it is closed and resumes with `after`."""

    after: int
    """The last entry that was sent."""


class Frame(msgspec.Struct, kw_only=True, tag="frame", omit_defaults=True):
    """One tick of a thinned feed (`hz=`, `rows=`): newest wins, nothing is queued for a slow reader."""

    seq: int
    counters: dict[str, int]
    """Entries since the daemon's start, absolute, by `type` and, for changes, by `change.<source>`."""
    skipped: int
    """Entries since the last frame that are not among `rows`; present even when it is 0."""
    rows: list[Event]
    status: Status | None = None
    """Present when it changed since the last frame."""
