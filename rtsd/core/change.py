"""A change of one record, and the one rule that says which of two changes stands.

Whatever the source, the order of arrival and the number of deliveries, the change with the greatest
`Version` is what the mirror shows. `decide` is that rule; `sync.apply` is its only caller that writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rtsd.core.instant import Millis, from_iso
from rtsd.core.privacy import MaskedValues
from rtsd.core.values import MirrorValue


class Operation(StrEnum):
    """What happened to the record. `READ` is not an event: it says how the record looked."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNDELETE = "undelete"
    READ = "read"


class Source(StrEnum):
    """Where we learned of it."""

    PUSH = "push"
    INTERVAL = "interval"
    AUDIT = "audit"
    REPAIR = "repair"


class Outcome(StrEnum):
    """What `apply` made of a change."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    """The mirror shows exactly this already."""
    STALE = "stale"
    """Older than what the mirror shows."""
    UNKNOWN = "unknown"
    """It contradicts the mirror and does not carry enough to settle it: the record is fetched."""
    DEFERRED = "deferred"
    """It carries no fields, or waits for a describe: the record is fetched."""


class Version(NamedTuple):
    """When a record looked like this. Tuples compare in this order, the greatest stands.

    `stamp` is SystemModstamp (ISO, one-second resolution); two edits in one second share it, so the
    moment of observation on Salesforce's clock decides next: it lies in `seen`..`until`. A push was
    read back at exactly one moment, a Bulk row somewhere between the job's start and its download.
    """

    stamp: str
    seen: Millis
    until: Millis


NEVER = Version("", 0, 0)
"""Older than every version."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one record, from any source.

    `fields` holds masked mirror values by column; None where the change did not carry any. A column that
    is absent from it keeps its value.
    """

    object: str
    id: str
    operation: Operation
    source: Source
    version: Version
    fields: MaskedValues | None = None
    changed: tuple[str, ...] = ()
    """The fields the sender says were edited; empty when it did not say."""
    master: str | None = None
    """For the loser of a merge: the winner's id."""
    note: str = ""
    """What the journal is to say of it, where that is not obvious."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What the mirror knows of a record: its row, or its tombstone, or neither."""

    version: Version = NEVER
    row: Mapping[str, MirrorValue] | None = None
    deleted: bool = False
    partial: bool = False
    """The row was made from a change that did not carry every column."""


class Decision(NamedTuple):
    """What to do with a change: its outcome, the columns that differ, and whether to fetch the record."""

    outcome: Outcome
    differing: tuple[str, ...] = ()
    fetch: str = ""
    """Why the record has to be fetched; empty when it need not be."""
    confirms: bool = False
    """A duplicate that saw the same values later: the row's version moves up, or an older image of the
    same second that arrives after it would win."""


UNKNOWN_RECORD = StoredRecord()

CLOCKS_MS: Millis = 60_000
"""By how much two clocks of Salesforce may differ at most."""
LATE_MS: Millis = 24 * 3_600_000
"""How late another image of the same second may still arrive: retries of the package end well before."""


def decide(known: StoredRecord, change: Change, columns: int) -> Decision:
    """Judge `change` against what the mirror knows; `columns` is how many a whole row has."""
    if change.operation is Operation.DELETE:
        return _decide_delete(known, change)
    if known.deleted:
        return _decide_after_delete(known, change, columns)
    if change.fields is None:
        return _decide_without_fields(known, change)
    if known.row is None:
        return _decide_new(change, columns)
    return _decide_image(known, change)


def _decide_delete(known: StoredRecord, change: Change) -> Decision:
    if not change.version.stamp:
        return Decision(Outcome.DEFERRED, fetch="deleted, but the push does not say when")
    if known.deleted:
        newer = change.version > known.version
        later = change.version.stamp > known.version.stamp or _recent(change.version)
        confirms = (newer and later) or change.master is not None  # else an undelete before it would win
        return Decision(Outcome.DUPLICATE, confirms=confirms)
    if known.row is None:
        return Decision(Outcome.DUPLICATE, confirms=True)  # not here anyway; an older create must not come
    outcome = Outcome.STALE if change.version <= known.version else Outcome.APPLIED
    return Decision(outcome, fetch=_same_second(change.version, known.version))


def _decide_after_delete(known: StoredRecord, change: Change, columns: int) -> Decision:
    """A tombstone yields only to a newer undelete, or to a read that returned the row."""
    stamp, doubt = change.version.stamp, _same_second(known.version, change.version)
    if stamp and change.version <= known.version and not _is_back(known.version, change):
        return Decision(Outcome.STALE, fetch=doubt)
    if change.operation in (Operation.UNDELETE, Operation.READ):
        if change.fields is None or len(change.fields) < columns or not stamp:
            return Decision(Outcome.DEFERRED, fetch="undeleted; its values are not all known")
        return Decision(Outcome.APPLIED, tuple(change.fields), fetch=doubt)
    return Decision(Outcome.UNKNOWN, fetch=f"{change.operation} of a record that is deleted here")


def _is_back(deletion: Version, change: Change) -> bool:
    """Whether a read returned the row when its deletion was known already, whatever its stamp.

    Then it was never deleted, but out of sight for a while: a lost permission, or a filter. An undelete
    would have moved the stamp.
    """
    return change.operation is Operation.READ and change.version.seen > deletion.until


def _decide_without_fields(known: StoredRecord, change: Change) -> Decision:
    stamp = change.version.stamp
    if known.row is not None and stamp and known.version.stamp > stamp:
        return Decision(Outcome.STALE)
    return Decision(Outcome.DEFERRED, fetch="the push named the record without its fields")


def _decide_new(change: Change, columns: int) -> Decision:
    fields: Mapping[str, MirrorValue] = change.fields or {}
    if len(fields) < columns or not change.version.stamp:
        return Decision(Outcome.UNKNOWN, fetch=f"{change.operation} of a record that is not in the mirror")
    return Decision(Outcome.APPLIED, tuple(fields))


def _decide_image(known: StoredRecord, change: Change) -> Decision:
    row: Mapping[str, MirrorValue] = known.row or {}
    fields: Mapping[str, MirrorValue] = change.fields or {}
    differing = tuple(name for name, value in fields.items() if row.get(name) != value)
    if not change.version.stamp:
        return Decision(Outcome.DEFERRED, fetch="the push does not say which version it shows")
    if change.version <= known.version:
        if _denies(known.version, change):
            return Decision(Outcome.APPLIED, differing)
        return _decide_older(known, change, differing)
    if not differing:
        return Decision(Outcome.DUPLICATE, confirms=_recent(change.version))
    return Decision(Outcome.APPLIED, differing, fetch=_ambiguity(known.version, change.version))


def _denies(known: Version, change: Change) -> bool:
    """Whether the org itself shows an older stamp than the mirror, and that by now.

    A record's stamp never goes back: what the mirror has was never in the org. It was forged, or the org
    was reset. Clocks of Salesforce's servers differ by less than the margin.
    """
    return change.operation is Operation.READ and change.version.seen > known.until + CLOCKS_MS


def _decide_older(known: StoredRecord, change: Change, differing: tuple[str, ...]) -> Decision:
    if not differing:
        return Decision(Outcome.DUPLICATE)
    if known.partial and not (
        change.operation is Operation.READ and change.version.seen > known.version.until
    ):
        return Decision(Outcome.STALE, fetch="an older change may hold values that a newer one left out")
    return Decision(Outcome.STALE, fetch=_ambiguity(known.version, change.version))


def _ambiguity(one: Version, other: Version) -> str:
    """Two different images of one stamp whose observations overlap: nobody can tell which is later."""
    if one.stamp != other.stamp or one.seen > other.until or other.seen > one.until:
        return ""
    return "two images of the same second; which is the later one cannot be told"


def _same_second(deletion: Version, image: Version) -> str:
    """A deletion and an image of one stamp, unless the image was seen when the deletion was known already.

    What is seen of a deletion is later than the deletion itself, by as long as its push took.
    """
    if deletion.stamp != image.stamp or image.seen > deletion.until:
        return ""
    return "deleted and edited in the same second; which came last cannot be told"


def _recent(version: Version) -> bool:
    """Whether another image of the version's second may still be on its way."""
    return version.seen - from_iso(version.stamp) < LATE_MS
