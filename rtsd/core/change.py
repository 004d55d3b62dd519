"""Changes of records, and the rule that decides which of two changes wins.

The mirror shows the change with the greatest `Version`, whatever the source, the order of arrival and the
number of deliveries. `decide` is that rule; `sync.apply` is its only caller that writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from rtsd.core.image import differences
from rtsd.core.instant import DAY_MS, Millis, from_iso, to_iso
from rtsd.core.privacy import MaskedValues
from rtsd.core.server_clock import MAX_CLOCK_SKEW_MS
from rtsd.core.values import MirrorValue


class Operation(StrEnum):
    """The operation on the record. `READ` is not an event but a snapshot of the record."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNDELETE = "undelete"
    READ = "read"


class Source(StrEnum):
    """The source of a change."""

    PUSH = "push"
    INTERVAL = "interval"
    AUDIT = "audit"
    REPAIR = "repair"


class Outcome(StrEnum):
    """The result of applying a change."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    """The mirror already shows exactly this."""
    STALE = "stale"
    """Older than what the mirror shows."""
    UNKNOWN = "unknown"
    """Contradicts the mirror and carries too little to resolve the conflict: the record is fetched."""
    DEFERRED = "deferred"
    """Carries no fields, or needs a new describe first: the record is fetched."""


class Version(NamedTuple):
    """The version of a record. Versions compare field by field, and the greatest wins.

    `stamp` is SystemModstamp (ISO, one-second resolution). Two edits within one second share it; then the
    time of the read, on Salesforce's clock, decides. It lies within `seen`..`until` (ms): a single instant
    for a push, the span from the job's start to its download for a Bulk row.
    """

    stamp: str
    seen: Millis
    until: Millis


NEVER = Version("", 0, 0)
"""Older than every other version."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of one record, from any source.

    `fields` holds masked mirror values by column, or None if the change carries none. Columns absent from it
    keep their values.
    """

    object: str
    id: str
    operation: Operation
    source: Source
    version: Version
    fields: MaskedValues | None = None
    changed: tuple[str, ...] = ()
    """The edited fields according to the sender; empty if it did not list them."""
    master: str | None = None
    """The winner's id, for the loser of a merge."""
    note: str = ""
    """An explanation for the journal, where one is needed."""
    partial: bool = False
    """A change event: it has only what changed, and its stamp may be older than the record's own."""
    expected: Version | None = None
    """The mirror's version of the record when the read began, if that is known.

    While it is still the mirror's version, the read is the later observation, whatever the clocks say."""


class StoredRecord(msgspec.Struct, frozen=True, gc=False):
    """A record in the mirror: its row, its tombstone, or neither."""

    version: Version = NEVER
    row: Mapping[str, MirrorValue] | None = None
    deleted: bool = False
    partial: bool = False
    """The row was built from a change that did not carry every column, or whose stamp is provisional."""


class Decision(NamedTuple):
    """The decision on a change: its outcome, the columns that differ, and the reason to fetch the record."""

    outcome: Outcome
    differing: tuple[str, ...] = ()
    fetch: str = ""
    """The reason to fetch the record; empty for no fetch."""
    confirms: bool = False
    """A duplicate that saw the same values later. It raises the row's version; otherwise an older image of
    the same second that arrives after it would win. Of a partial row, it also brings the columns that
    differ: those that no event has."""
    complete: bool = False
    """Whether the row is partial and has to be read, in its turn."""


UNKNOWN_RECORD = StoredRecord()

LATE_MS: Millis = DAY_MS
"""The longest delay of another image of the same second: the package stops retrying well before."""


def decide(
    known: StoredRecord, change: Change, columns: int, untold: frozenset[str] = frozenset()
) -> Decision:
    """Decide on `change` given the stored record; `columns` is the number of columns in a complete row.

    `untold` are the columns that change events do not have: a read that brings no other to a partial row
    completes it, and is no change of the record.
    """
    decision = _decided(known, change, columns)
    if not known.partial or known.deleted or change.operation is not Operation.READ:
        return decision
    if decision.outcome is Outcome.APPLIED and untold.issuperset(decision.differing):
        return decision._replace(outcome=Outcome.DUPLICATE, confirms=True)
    return decision._replace(complete=decision.outcome is Outcome.STALE)


def _decided(known: StoredRecord, change: Change, columns: int) -> Decision:
    if change.expected is not None and change.expected == known.version:
        return _decide_later(known, change, columns)
    if change.operation is Operation.DELETE:
        return _decide_delete(known, change)
    if known.deleted:
        return _decide_after_delete(known, change, columns)
    if change.fields is None:
        return _decide_without_fields(known, change)
    if known.row is None and not change.partial:
        return _decide_new(change, columns)
    return _decide_event(known, change) if change.partial else _decide_image(known, change)


def version_after(known: Version, change: Change) -> Version:
    """Return the version of a row that a change was applied to, or that it confirms.

    That of a change event is always newer than the row's: a read under way then, which may not show the
    event, has to see that the row has changed since it began.
    """
    if change.expected is not None and change.expected == known:
        return change.version
    if change.partial and change.version <= known:
        return Version(change.version.stamp, known.seen + 1, max(known.until, change.version.until))
    return change.version


def _decide_event(known: StoredRecord, change: Change) -> Decision:
    """Decide on a change event.

    Its stamp is LastModifiedDate, at most the record's own. Nevertheless a row that was read before the event
    has no newer stamp, so that an older event is in the row. Within a second the times decide. Among events
    that is their order of arrival: a partial row is read anyway, after the last of them.
    """
    fields: Mapping[str, MirrorValue] = change.fields or {}
    if known.row is None:
        if change.operation in (Operation.CREATE, Operation.UNDELETE):
            return Decision(Outcome.APPLIED, tuple(fields), complete=True)
        return Decision(Outcome.UNKNOWN, fetch=f"{change.operation} of a record that is not in the mirror")
    differing = differences(known.row, fields)
    older, doubt = change.version.stamp < known.version.stamp, ""
    if change.operation is Operation.CREATE:
        older = True  # whatever the mirror has of the record came later
    elif change.version.stamp == known.version.stamp:
        doubt = "" if known.partial else _ambiguity(known.version, change.version)
        older = change.version.seen < known.version.seen
    if older:
        outcome = Outcome.STALE if differing else Outcome.DUPLICATE
        return Decision(outcome, fetch=doubt if differing else "", complete=known.partial)
    outcome = Outcome.APPLIED if differing else Outcome.DUPLICATE
    return Decision(outcome, differing, fetch=doubt, confirms=not differing, complete=True)


def _decide_later(known: StoredRecord, change: Change, columns: int) -> Decision:
    """Apply a read that is certainly later than the stored version, even if its stamp is older."""
    deletes = change.operation is Operation.DELETE
    if deletes and (known.deleted or known.row is None):
        return _decide_delete(known, change)
    if known.row is None:
        return _decide_new(change, columns)
    fields: Mapping[str, MirrorValue] = change.fields or {}
    if deletes or known.deleted:
        return Decision(Outcome.APPLIED, tuple(fields))
    differing = differences(known.row, fields)
    return Decision(Outcome.APPLIED, differing) if differing else Decision(Outcome.DUPLICATE, confirms=True)


def _decide_delete(known: StoredRecord, change: Change) -> Decision:
    if not change.version.stamp:
        return Decision(Outcome.DEFERRED, fetch="deleted, but the push carries no time of the deletion")
    if known.deleted:
        newer = change.version > known.version
        later = change.version.stamp > known.version.stamp or _recent(change.version)
        confirms = (newer and later) or change.master is not None  # otherwise an earlier undelete would win
        return Decision(Outcome.DUPLICATE, confirms=confirms)
    if known.row is None:
        return Decision(Outcome.DUPLICATE, confirms=True)  # keeps out an older create
    outcome = Outcome.STALE if change.version <= known.version else Outcome.APPLIED
    return Decision(outcome, fetch=_same_second(change.version, known.version))


def _decide_after_delete(known: StoredRecord, change: Change, columns: int) -> Decision:
    """Keep the tombstone unless the change is a newer undelete, or a read that returned the row."""
    stamp, doubt = change.version.stamp, _same_second(known.version, change.version)
    if stamp and change.version <= known.version and not _is_back(known.version, change):
        return Decision(Outcome.STALE, fetch=doubt or _denied(known.version, change))
    if change.operation in (Operation.UNDELETE, Operation.READ):
        if change.partial and change.fields:  # the event of an undelete is complete
            return Decision(Outcome.APPLIED, tuple(change.fields), fetch=doubt, complete=True)
        if change.fields is None or len(change.fields) < columns or not stamp:
            return Decision(Outcome.DEFERRED, fetch="undeleted, but not all of its values are known")
        return Decision(Outcome.APPLIED, tuple(change.fields), fetch=doubt)
    return Decision(Outcome.UNKNOWN, fetch=f"{change.operation} of a record that is deleted in the mirror")


def _is_back(deletion: Version, change: Change) -> bool:
    """Whether a read returned the row after its deletion was observed, whatever its stamp.

    Such a row was never deleted but hidden for a while, by a lost permission or a filter. An undelete would
    have moved the stamp.
    """
    return change.operation is Operation.READ and change.version.seen > deletion.until


def _decide_without_fields(known: StoredRecord, change: Change) -> Decision:
    stamp = change.version.stamp
    if known.row is not None and stamp and known.version.stamp > stamp:
        return Decision(Outcome.STALE)
    return Decision(Outcome.DEFERRED, fetch="the push carries no fields of the record")


def _decide_new(change: Change, columns: int) -> Decision:
    fields: Mapping[str, MirrorValue] = change.fields or {}
    if len(fields) < columns or not change.version.stamp:
        return Decision(Outcome.UNKNOWN, fetch=f"{change.operation} of a record that is not in the mirror")
    return Decision(Outcome.APPLIED, tuple(fields))


def _decide_image(known: StoredRecord, change: Change) -> Decision:
    row: Mapping[str, MirrorValue] = known.row or {}
    fields: Mapping[str, MirrorValue] = change.fields or {}
    differing = differences(row, fields)
    if not change.version.stamp:
        return Decision(Outcome.DEFERRED, fetch="the push carries no version")
    if change.version <= known.version:
        if _contradicts(known.version, change):
            return Decision(Outcome.APPLIED, differing)
        return _decide_older(known, change, differing)
    if not differing:
        return Decision(Outcome.DUPLICATE, confirms=known.partial or _recent(change.version))
    return Decision(Outcome.APPLIED, differing, fetch=_ambiguity(known.version, change.version))


def _contradicts(known: Version, change: Change) -> bool:
    """Whether a later read of the org shows an older stamp than the mirror.

    A record's stamp never decreases, so the mirror's version was never in the org: it was forged, or the org
    was reset. The margin exceeds the skew between Salesforce's servers.
    """
    return change.operation is Operation.READ and change.version.seen > known.until + MAX_CLOCK_SKEW_MS


def _decide_older(known: StoredRecord, change: Change, differing: tuple[str, ...]) -> Decision:
    if not differing:
        return Decision(Outcome.DUPLICATE)
    if known.partial and not (
        change.operation is Operation.READ and change.version.seen > known.version.until
    ):
        return Decision(Outcome.STALE, fetch="an older change may carry values that a newer one left out")
    return Decision(
        Outcome.STALE, fetch=_ambiguity(known.version, change.version) or _denied(known.version, change)
    )


def _denied(known: Version, change: Change) -> str:
    """Return a reason to fetch for a row of a full read that contradicts the mirror; empty if it may be old.

    An edit made before the read began is in what was read, unless its transaction was still running, and no
    edit is stamped after the read ended.
    """
    if change.source is not Source.AUDIT:
        return ""
    latest = to_iso(change.version.until + MAX_CLOCK_SKEW_MS)
    if known.stamp and to_iso(change.version.seen) <= known.stamp <= latest:
        return ""
    return "a full read shows other values than the mirror"


def _ambiguity(first: Version, second: Version) -> str:
    """A reason to fetch for two images of one stamp whose times of reading overlap; otherwise empty."""
    if first.stamp != second.stamp or first.seen > second.until or second.seen > first.until:
        return ""
    return "two images of the same second, and their order is unknown"


def _same_second(deletion: Version, image: Version) -> str:
    """A reason to fetch for a deletion and an image of one stamp; empty if the image was read afterwards.

    A deletion is observed later than it happened, by the delay of its push.
    """
    if deletion.stamp != image.stamp or image.seen > deletion.until:
        return ""
    return "deleted and edited in the same second, and their order is unknown"


def _recent(version: Version) -> bool:
    """Whether another image of the same second may still arrive."""
    return version.seen - from_iso(version.stamp) < LATE_MS
