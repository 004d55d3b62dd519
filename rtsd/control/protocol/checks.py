"""Audits, repairs and verification: what they cost, what runs, what they found."""

from __future__ import annotations

import msgspec

from rtsd.control.protocol.events import Event
from rtsd.control.protocol.problems import Problem


class Estimate(msgspec.Struct, kw_only=True):
    """The cost of work before it is done; None where it is unknown."""

    rows: int | None = None
    api_calls: int | None = None
    """The calls that are certain: repairs of the differences that are known included."""
    api_calls_with_repairs: int | None = None
    """The calls if all differs that may differ; an older daemon does not know them."""
    bulk_jobs: int | None = None
    mb: float | None = None
    minutes: float | None = None
    share_of_daily: dict[str, float] = msgspec.field(default_factory=dict)
    """Percent of each daily limit."""


class Priced(msgspec.Struct, kw_only=True):
    """The answer to a dry run."""

    estimate: Estimate | None = None
    problems: list[Problem] = msgspec.field(default_factory=list)


class AuditBody(msgspec.Struct):
    """The body of `POST /v1/objects/{o}/audit`."""

    full: bool = False
    """Read every row again, instead of comparing counts first."""
    dry_run: bool = False
    accept_missing: bool | msgspec.UnsetType = msgspec.UNSET
    """With `full`: delete every row that the org does not show, however many they are."""


class AuditStarted(msgspec.Struct, kw_only=True):
    """`POST /v1/objects/{o}/audit`: 202."""

    run: int | None = None
    """The number of the run."""


class AuditedObject(msgspec.Struct, kw_only=True):
    """The findings of one object's audit; lists hold at most 1,000 ids, counts all of them."""

    name: str
    state: str = "live"
    error: str | None = None
    checked: int = 0
    missing: list[str] = msgspec.field(default_factory=list)
    stale: list[str] = msgspec.field(default_factory=list)
    orphaned: list[str] = msgspec.field(default_factory=list)
    missing_count: int = 0
    stale_count: int = 0
    orphaned_count: int = 0
    repaired: int = 0
    api_calls: int = 0
    bulk_jobs: int = 0
    seconds: float = 0.0


class AuditResult(msgspec.Struct, kw_only=True):
    """`POST /v1/objects/{o}/audit?wait=1`."""

    objects: list[AuditedObject] = msgspec.field(default_factory=list)
    api_calls: int = 0


class RunningAudit(msgspec.Struct, kw_only=True):
    """A state audit under way. `job` is the Bulk job whose result is read; None: by REST, or not begun."""

    object: str
    started_at: str
    rows_read: int = 0
    job: str | None = None


class RunningVerification(msgspec.Struct, kw_only=True):
    """A verification under way: the object whose stored values are compared with their checksums."""

    object: str
    rows_checked: int = 0


class Audits(msgspec.Struct, kw_only=True):
    """`GET /v1/audits`: what is under way; findings of audits, fingerprints and repairs, newest first."""

    running: list[RunningAudit] = msgspec.field(default_factory=list)
    verification: RunningVerification | None = None
    findings: list[Event] = msgspec.field(default_factory=list)


class RepairBody(msgspec.Struct, omit_defaults=True):
    """The body of `POST /v1/objects/{o}/repair`: ids, or a stretch of time, or fields of every record."""

    ids: list[str] = []
    since: str | None = None
    until: str | None = None
    fields: list[str] = []
    dry_run: bool = False


class Repaired(msgspec.Struct, kw_only=True):
    """`POST /v1/objects/{o}/repair`."""

    fetched: int = 0
    repaired: int = 0
    """Records that differed."""
    api_calls: int = 0
    bulk_jobs: int = 0


class VerifyBody(msgspec.Struct):
    """The body of `POST /v1/verify`."""

    certificate: bool = False
    dry_run: bool = False


class DriftCounts(msgspec.Struct, kw_only=True):
    """Records by what a fingerprint found wrong with them."""

    missing: int = 0
    stale: int = 0
    orphaned: int = 0


class VerifiedObject(msgspec.Struct, kw_only=True):
    """The findings of one object's verification."""

    name: str
    state: str = ""
    rows: int = 0
    counted: int = 0
    """The rows by `_rts_object`; `rows` were counted now."""
    checksummed: int = 0
    broken: list[str] = msgspec.field(default_factory=list)
    """Ids of rows whose values changed without a write, at most 1,000."""
    broken_count: int = 0
    repaired: int = 0
    drift: DriftCounts | None = None
    """The fingerprint's findings before the repair; None where it could not be taken."""
    error: str | None = None
    as_of: str | None = None
    proven_at: str | None = None
    fingerprint: str | None = None
    """SHA-256 of the rows' counts by the day of their stamp."""


class Verification(msgspec.Struct, kw_only=True):
    """`POST /v1/verify`. `ok`: everything is right now, repairs included."""

    ok: bool = False
    at: str | None = None
    org: str | None = None
    faults: list[str] = msgspec.field(default_factory=list)
    """Damage to the file's structure, in SQLite's words."""
    objects: list[VerifiedObject] = msgspec.field(default_factory=list)
    certificate: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """The same statement, signed, on request; kept as it is, since the signature covers every key."""
