"""The wire types of the control socket: what rtsd says and rtstui, scripts and `curl` read.

A leaf: it knows nothing of the rest of rtsd. Readers ignore keys they do not know, so fields may be
added; contract section 5 fixes those that are here. Moments are ISO 8601 in UTC with milliseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec

PROTOCOL = 1
"""The version of this protocol, in `Status.protocol`."""


class Org(msgspec.Struct, kw_only=True):
    """The org behind the mirror; None where it is not known yet."""

    id: str | None = None
    name: str | None = None
    instance_url: str | None = None
    sandbox: bool | None = None
    edition: str | None = None
    apex: bool | None = None
    user: str | None = None
    reachable: bool | None = None
    error: str | None = None
    """Why the last call failed, while it does."""


class Gateway(msgspec.Struct, kw_only=True):
    """Where pushes are taken. `listen` is the address in use, with the port that was given."""

    listen: str | None = None
    public_url: str | None = None


class Problem(msgspec.Struct, kw_only=True):
    """What is wrong, and what to do about it."""

    what: str
    do: str


class Package(msgspec.Struct, kw_only=True):
    """The Salesforce package. `state`: unknown, missing, installed."""

    state: str = "unknown"
    version: str | None = None
    disabled: bool | None = None
    last_seen_at: str | None = None
    problems: list[Problem] = msgspec.field(default_factory=list)
    """What contradicts the configuration, as far as it is known: another gateway URL, a missing trigger."""
    next_look_at: str | None = None
    """When the org is asked for it again, one call a time; None while pushes tell."""


class PackageTrigger(msgspec.Struct, kw_only=True):
    """The trigger of one mirrored object; `installed` None is not known."""

    object: str
    installed: bool | None = None


class PackageSettings(msgspec.Struct, kw_only=True):
    """The org's `RTS_Settings__c`, without the token; None is not known."""

    as_of: str
    disabled: bool
    error_logging: bool | None = None
    gateway_url: str | None = None
    org_id: str | None = None


class PackageDetails(msgspec.Struct, kw_only=True):
    """`GET /v1/package`, and the answer of `POST /v1/package/disable|enable`.

    With `?look=1` the org is asked first, for two calls.
    """

    state: str = "unknown"
    version: str | None = None
    disabled: bool | None = None
    last_seen_at: str | None = None
    expected_version: str | None = None
    """What `rtsd package deploy` would install."""
    triggers: list[PackageTrigger] = msgspec.field(default_factory=list)
    """One for each mirrored object."""
    triggers_as_of: str | None = None
    settings: PackageSettings | None = None
    async_used: int | None = None
    """Async Apex executions of the org's last 24 hours, by everybody, as the last heartbeat told."""
    async_max: int | None = None
    errors_24h: int | None = None
    """Rows of RTS_Error__c, as the last heartbeat counted them."""
    problems: list[Problem] = msgspec.field(default_factory=list)
    next_look_at: str | None = None
    changed: bool | None = None
    """On disable and enable: whether that changed anything."""


class Reloaded(msgspec.Struct, kw_only=True):
    """`POST /v1/reload`: the configuration was read again, as on SIGHUP."""

    needs_restart: list[str]
    """Tables that have changed and count from the next start only."""
    token_ids: list[str]
    """The gateway's tokens now, each by the first 8 hexadecimal digits of its SHA-256."""


class Conditions(msgspec.Struct, kw_only=True):
    """`GET|PUT /v1/objects/{o}/conditions`: the fields whose change makes the package push; none: any."""

    object: str
    fields: list[str]
    source: str
    """org: as `in_org` says; config: the configuration's, as the package is not there (or not known)."""
    in_org: list[str] | None = None
    as_of: str | None = None
    available: list[str] = msgspec.field(default_factory=list)
    """The fields that can be conditions."""


class Push(msgspec.Struct, kw_only=True):
    """The push channel. `quiet`: live, idle, filtered, silent, unknown."""

    last_at: str | None = None
    last_heartbeat_at: str | None = None
    quiet: str = "unknown"
    quiet_proof: str | None = None
    received_24h: int = 0
    rejected_24h: int = 0
    missed_24h: int = 0
    """Changes that Interval Sync or a fingerprint found and a push should have brought."""


class Freshness(msgspec.Struct, kw_only=True):
    """From the org's commit to ours, in ms, over the last changes.

    Stamps have whole seconds, so up to one second of it is rounding: never claimed fresher than proven.
    """

    p50: int
    p95: int
    p99: int


class Drift(msgspec.Struct, kw_only=True):
    """What the last check found wrong."""

    checked_at: str | None = None
    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    held_back: int = 0
    """Rows that had changed only in fields that no sync condition watches: no drift, but learnt now."""


class Object(msgspec.Struct, kw_only=True):
    """One mirrored object. `state`: pending, loading, live, incomplete, paused, deferred, error."""

    name: str
    state: str = "pending"
    rows: int = 0
    expected_rows: int | None = None
    """The org's own count when it was last asked."""
    where: str | None = None
    """The filter that leaves rows out; none, and every row there is belongs to the mirror."""
    progress: float = 0.0
    """0..1 of the initial audit."""
    as_of: str | None = None
    """The mirror shows everything committed before this."""
    freshness_ms: Freshness | None = None
    """From the org's commit to the mirror's, of the newest changes."""
    freshness_by_source: dict[str, Freshness] = msgspec.field(default_factory=dict)
    """The same for each source that brought some of them: push, interval, repair."""
    drift: Drift | None = None
    error: str | None = None
    rate: float | None = None
    """Rows per second while loading."""
    eta_s: float | None = None
    goes_on_at: str | None = None
    """When a deferred object goes on, as far as that is known."""
    last_change_at: str | None = None
    formulas_as_of: str | None = None
    """When the formula fields were last read for every row: they change without a trace."""


class Limit(msgspec.Struct, kw_only=True):
    """One of the org's daily allocations."""

    name: str
    max: int
    remaining: int
    used_by_us: int = 0
    used_by_others: int = 0
    exhausted_at: str | None = None
    """When it will run out at the present rate."""


class Quota(msgspec.Struct, kw_only=True):
    """The org's limits, and our own calls of the last 24 hours by purpose."""

    limits: list[Limit] = msgspec.field(default_factory=list)
    calls_24h: dict[str, int] = msgspec.field(default_factory=dict)


class HourlyCalls(msgspec.Struct, kw_only=True):
    """API calls of one purpose in the hour that begins at `at`."""

    at: str
    purpose: str
    calls: int


class UsageSample(msgspec.Struct, kw_only=True):
    """How much of a limit was used in the 24 hours before `at`, by everybody and by rtsd."""

    at: str
    name: str
    max: int
    used: int
    used_by_us: int


class QuotaHistory(msgspec.Struct, kw_only=True):
    """`GET /v1/quota/history`: the last 7 days, oldest first."""

    hours: list[HourlyCalls] = msgspec.field(default_factory=list)
    usage: list[UsageSample] = msgspec.field(default_factory=list)


class RunningAudit(msgspec.Struct, kw_only=True):
    """A state audit under way. `job` is the Bulk job whose result is read; None: by REST, or not begun."""

    object: str
    started_at: str
    rows_read: int = 0
    job: str | None = None


class Inbox(msgspec.Struct, kw_only=True):
    """Pushes durably taken and not applied yet."""

    pending: int = 0


class Status(msgspec.Struct, kw_only=True):
    """`GET /v1/status`. `storage`: ok, or what is wrong with the disk."""

    version: str
    protocol: int = PROTOCOL
    started_at: str
    now: str
    org: Org = msgspec.field(default_factory=Org)
    gateway: Gateway = msgspec.field(default_factory=Gateway)
    mode: str = "awaiting_package"
    mode_since: str | None = None
    mode_reason: str = ""
    package: Package = msgspec.field(default_factory=Package)
    push: Push = msgspec.field(default_factory=Push)
    objects: list[Object] = msgspec.field(default_factory=list)
    quota: Quota = msgspec.field(default_factory=Quota)
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    dead_letters: int = 0
    errors_24h: int = 0
    storage: str = "ok"
    last_seq: int = 0
    """The newest entry of the journal; a follower that starts here misses nothing."""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One entry of the journal. It is in no cycle: thousands of them must not slow the collector down.

    `type`: change, mode, audit, drift, repair, quota, error, dead_letter, package, schema, rule.
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
    """For people, on everything but changes."""
    detail: dict[str, Any] | None = None


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
    """Entries since the last frame that are not among `rows`; there even when it is 0."""
    rows: list[Event]
    status: Status | None = None
    """Present when it changed since the last frame."""


class Audits(msgspec.Struct, kw_only=True):
    """`GET /v1/audits`: what runs, and what audits, fingerprints and repairs found, newest first."""

    running: list[RunningAudit] = msgspec.field(default_factory=list)
    findings: list[Event] = msgspec.field(default_factory=list)


class Failure(msgspec.Struct, kw_only=True):
    """The body of every error answer, on the socket and on the gateway."""

    error: str
    message: str


class ErrorEntry(msgspec.Struct, kw_only=True):
    """One row of `GET /v1/errors`: `{"errors": [...]}`, newest first."""

    seq: int
    at: str
    error: str
    message: str
    object: str | None = None
    count: int = 1


class DeadLetter(msgspec.Struct, kw_only=True):
    """One row of `GET /v1/dead-letters`: `{"dead_letters": [...]}`, newest first."""

    id: int
    at: str
    reason: str
    message: str
    object: str | None = None
    record: str | None = None
    attempts: int = 1
    kind: str = "push"
    """push, or delivery: what a rule or an alert sent and nobody took."""
    rule: str | None = None
    """For a delivery: the rule or alert it is of."""


class Errors(msgspec.Struct, kw_only=True):
    """`GET /v1/errors`."""

    errors: list[ErrorEntry]


class DeadLetters(msgspec.Struct, kw_only=True):
    """`GET /v1/dead-letters`."""

    dead_letters: list[DeadLetter]


class BackupProgress(msgspec.Struct, kw_only=True):
    """`GET /v1/backup`: how far the copy that is being made is, in pages of the database."""

    running: bool = False
    copied: int = 0
    pages: int = 0


class Rule(msgspec.Struct, kw_only=True):
    """A rule, or an alert (`on` its conditions, no `object`, no `when`), and how its deliveries fare.

    `action`: webhook, command. `target`: the URL without its query, or the program. `circuit`: closed, or
    open while the target refuses everything and is only tried now and then.
    """

    name: str
    object: str | None = None
    on: list[str] = msgspec.field(default_factory=list)
    when: str = ""
    action: str = "webhook"
    target: str = ""
    fired_24h: int = 0
    delivered_24h: int = 0
    pending: int = 0
    failed_24h: int = 0
    """Deliveries of which a try failed; most of them are delivered later."""
    dead_letters: int = 0
    circuit: str = "closed"
    last_fired_at: str | None = None
    error: str | None = None
    """Why it cannot be evaluated, such as a field that is gone."""


class Rules(msgspec.Struct, kw_only=True):
    """`GET /v1/rules`."""

    rules: list[Rule] = msgspec.field(default_factory=list)
    alerts: list[Rule] = msgspec.field(default_factory=list)


class RuleTest(msgspec.Struct, kw_only=True):
    """`POST /v1/rules/{name}/test {"since": …}`: what would have fired, by the journal."""

    rule: str
    since: str
    considered: int
    """Changes of the rule's object that its `on` and `fire_on` let in."""
    matched: int
    entries: list[Event] = msgspec.field(default_factory=list)
    """The newest that match, at most 1,000, oldest first."""
    truncated: bool = False
    """Whether `entries` leaves some out, or older changes were not considered."""
