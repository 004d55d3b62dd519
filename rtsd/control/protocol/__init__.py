"""The wire types of the control socket: answers of rtsd, and bodies of requests (contract section 5).

A leaf: it imports nothing else of rtsd. Readers ignore unknown keys, so a field may be added at any time, and
every field that an older daemon may lack has a default. Moments are ISO 8601 in UTC with milliseconds.

::

    status     GET /v1/status             events     the journal and its feed
    quota      limits and their history   problems   errors, refusals, dead letters
    records    one record: now, its past  checks     audits, repairs, verification, prices
    rules      rules and alerts           package    the Salesforce package, sync conditions
    commands   pause, resume, reload, backup, SQL
"""

from rtsd.control.protocol.checks import (
    AuditBody,
    AuditedObject,
    AuditResult,
    Audits,
    AuditStarted,
    DriftCounts,
    Estimate,
    Priced,
    RepairBody,
    Repaired,
    RunningAudit,
    Verification,
    VerifiedObject,
    VerifyBody,
)
from rtsd.control.protocol.commands import (
    BackupProgress,
    ObjectsBody,
    Paused,
    QueryBody,
    QueryResult,
    Reloaded,
    Resumed,
)
from rtsd.control.protocol.events import Event, Frame, Lagged, Snapshot
from rtsd.control.protocol.package import (
    Conditions,
    ConditionsBody,
    PackageChangedBody,
    PackageDetails,
    PackageSettings,
    PackageTrigger,
)
from rtsd.control.protocol.problems import (
    DeadLetter,
    DeadLetterDetails,
    DeadLetters,
    Dropped,
    ErrorEntry,
    Errors,
    Failure,
    Problem,
    Retried,
)
from rtsd.control.protocol.quota import HourlyCalls, Limit, Quota, QuotaHistory, UsageSample
from rtsd.control.protocol.records import (
    FieldChange,
    History,
    MirrorRecord,
    ObjectFacts,
    OrgRecord,
    PastRecord,
    Record,
    Version,
    Why,
)
from rtsd.control.protocol.rules import Rules, RuleStatus, RuleTest, RuleTestBody
from rtsd.control.protocol.status import (
    PROTOCOL,
    Drift,
    Freshness,
    Gateway,
    Inbox,
    Object,
    Org,
    Package,
    PrivacyChange,
    Push,
    Relay,
    Status,
    Stream,
)

__all__ = [
    "PROTOCOL",
    "AuditBody",
    "AuditResult",
    "AuditStarted",
    "AuditedObject",
    "Audits",
    "BackupProgress",
    "Conditions",
    "ConditionsBody",
    "DeadLetter",
    "DeadLetterDetails",
    "DeadLetters",
    "Drift",
    "DriftCounts",
    "Dropped",
    "ErrorEntry",
    "Errors",
    "Estimate",
    "Event",
    "Failure",
    "FieldChange",
    "Frame",
    "Freshness",
    "Gateway",
    "History",
    "HourlyCalls",
    "Inbox",
    "Lagged",
    "Limit",
    "MirrorRecord",
    "Object",
    "ObjectFacts",
    "ObjectsBody",
    "Org",
    "OrgRecord",
    "Package",
    "PackageChangedBody",
    "PackageDetails",
    "PackageSettings",
    "PackageTrigger",
    "PastRecord",
    "Paused",
    "Priced",
    "PrivacyChange",
    "Problem",
    "Push",
    "QueryBody",
    "QueryResult",
    "Quota",
    "QuotaHistory",
    "Record",
    "Relay",
    "Reloaded",
    "RepairBody",
    "Repaired",
    "Resumed",
    "Retried",
    "RuleStatus",
    "RuleTest",
    "RuleTestBody",
    "Rules",
    "RunningAudit",
    "Snapshot",
    "Status",
    "Stream",
    "UsageSample",
    "Verification",
    "VerifiedObject",
    "VerifyBody",
    "Version",
    "Why",
]
