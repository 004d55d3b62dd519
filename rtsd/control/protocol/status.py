"""`GET /v1/status`: mode, push channel, objects, quota, at one moment."""

from __future__ import annotations

import msgspec

from rtsd.control.protocol.problems import Problem
from rtsd.control.protocol.quota import Quota

PROTOCOL = 1
"""The version of this protocol, in `Status.protocol`."""


class Org(msgspec.Struct, kw_only=True):
    """The org behind the mirror; None where a fact is not known yet."""

    id: str | None = None
    name: str | None = None
    instance_url: str | None = None
    sandbox: bool | None = None
    edition: str | None = None
    apex: bool | None = None
    user: str | None = None
    reachable: bool | None = None
    error: str | None = None
    """Why the last call failed; None once a call succeeds."""


class Gateway(msgspec.Struct, kw_only=True):
    """Where pushes arrive. `listen` is the address in use, with the port that the system chose for port 0."""

    listen: str | None = None
    public_url: str | None = None


class Relay(msgspec.Struct, kw_only=True):
    """The relay, the Apex trigger that sends changes on, as a heartbeat or the org last described it."""

    status: str | None = None
    """Running, Error, Suspended, Repartitioning; Missing if its trigger is not active."""
    position: str | None = None
    """Replay id of the last event processed."""
    tip: str | None = None
    """Replay id of the last event published; -1 for high-volume events."""
    last_error: str | None = None
    retries: int | None = None
    user: str | None = None
    """As whom it runs, where the org was asked."""
    as_of: str | None = None
    proven_at: str | None = None
    """When a push or a heartbeat last came through it."""
    problem: Problem | None = None
    """Why changes can't leave the org; also among the package's problems."""


class Package(msgspec.Struct, kw_only=True):
    """The Salesforce package. `state`: unknown, missing, installed."""

    state: str = "unknown"
    version: str | None = None
    disabled: bool | None = None
    last_seen_at: str | None = None
    problems: list[Problem] = msgspec.field(default_factory=list)
    """Known contradictions of the configuration: another gateway URL, a missing trigger; a failing relay."""
    relay: Relay | None = None
    """None while unknown."""
    next_probe_at: str | None = msgspec.field(default=None, name="next_look_at")
    """When the org is probed for it again, for one call; None in real-time mode."""


class Stream(msgspec.Struct, kw_only=True):
    """The subscription of the channels `stream` and `cdc`."""

    topic: str
    connected: bool | None = None
    """None until the first response, the only proof that a subscription works."""
    since: str | None = None
    last_event_at: str | None = None
    replay_age_s: int | None = None
    """The age of the position to resume from; Salesforce keeps 72 hours."""
    deliveries_24h: int | None = None
    """Events delivered to all subscribers of the org; None if the org's limits do not tell."""
    deliveries_ours_24h: int = 0
    """Those delivered to rtsd."""
    deliveries_max: int | None = None
    """The org's allocation for 24 hours."""
    deliveries_stop_at: int | None = None
    """The deliveries to all at which rtsd unsubscribes, to leave the rest to others."""
    error: str | None = None
    """How the last subscription ended, until the next one has a response."""


class Push(msgspec.Struct, kw_only=True):
    """The push channel. `channel`: gateway, stream, cdc, or empty for none.

    `quiet`: live, idle, filtered, silent, unknown.
    """

    channel: str = "gateway"
    stream: Stream | None = None
    last_at: str | None = None
    last_heartbeat_at: str | None = None
    quiet: str = "unknown"
    quiet_proof: str | None = None
    received_24h: int = 0
    rejected_24h: int = 0
    missed_24h: int = 0
    """Changes that Interval Sync or a fingerprint found and a push should have brought."""


class Freshness(msgspec.Struct, kw_only=True):
    """Percentiles of the time from the org's commit to the mirror's, in ms.

    Stamps have whole seconds, so up to one second of it is rounding: never claimed fresher than proven.
    """

    p50: int
    p95: int
    p99: int


class Drift(msgspec.Struct, kw_only=True):
    """The findings of the last check."""

    checked_at: str | None = None
    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    held_back: int = 0
    """Rows that had changed only in fields that no sync condition watches: expected, so no drift."""
    repaired: bool = False
    """True if nothing of it is left: the rows were fetched, and the object is proven as of that check."""


class Object(msgspec.Struct, kw_only=True):
    """One mirrored object. `state`: pending, loading, live, incomplete, paused, deferred, error."""

    name: str
    state: str = "pending"
    arrives_by: str = "interval"
    """How its changes arrive now: push, or interval where nothing pushes them."""
    rows: int = 0
    expected_rows: int | None = None
    """The org's own count when it was last asked, at `counted_at`."""
    counted_at: str | None = None
    where: str | None = None
    """The filter that leaves rows out; None if every row belongs to the mirror."""
    progress: float = 0.0
    """0..1 of the initial audit."""
    as_of: str | None = None
    """The mirror shows everything committed before this."""
    proven_at: str | None = None
    """The last proof, a full read or a fingerprint: at this moment all rows were known to equal the org's."""
    freshness_ms: Freshness | None = None
    """Of the changes of the last hour, else of the newest ones, from the org's commit to the mirror's."""
    freshness_by_source: dict[str, Freshness] = msgspec.field(default_factory=dict)
    """The same by source: push, interval, repair."""
    drift: Drift | None = None
    error: str | None = None
    locked_by: str | None = None
    """Who uses its table, so that columns which the org has can't come; rtsd tries again."""
    rate: float | None = None
    """Rows per second while loading."""
    eta_s: float | None = None
    goes_on_at: str | None = None
    """When a deferred object resumes, if that is known."""
    last_change_at: str | None = None
    formulas_as_of: str | None = None
    """When the formula fields were last read for every row: they change without a trace."""


class Inbox(msgspec.Struct, kw_only=True):
    """Pushes that are durable and not applied yet."""

    pending: int = 0


class PrivacyChange(msgspec.Struct, kw_only=True):
    """A change of `privacy`, `exclude` or `fields` that the last start has applied to what was stored."""

    object: str | None = None
    """None: former values could not be erased from the file's free pages yet."""
    message: str = ""


class Node(msgspec.Struct, kw_only=True):
    """This process among those that share a PostgreSQL database; `since` is when it began to lead."""

    name: str
    leader: bool
    leader_name: str
    epoch: int | None
    since: str


class Refusals(msgspec.Struct, kw_only=True):
    """Pushes that a node refused in the last 24 hours, and the last reason that it reported."""

    count: int = 0
    at: str | None = None
    reason: str | None = None


class SeenNode(msgspec.Struct, kw_only=True):
    """An entry of `GET /v1/nodes`: a node that is alive; `since`: it leads, or, without an epoch, runs.

    `differs`: the parts of its configuration that are not the leader's.
    """

    name: str
    leader: bool
    epoch: int | None
    since: str
    seen_at: str
    differs: list[str] = []
    refused: Refusals = msgspec.field(default_factory=Refusals)


class PublishedStream(msgspec.Struct, kw_only=True):
    """A stream of `[[streams]]`; the counts are since the start, but for `lost`."""

    name: str
    stream: str
    url: list[str]
    connected: bool
    acknowledged: int | None = None
    """The last entry of the journal up to which every change is in the stream."""
    lag: int = 0
    """Entries of the journal since then; 0 if no change is among them."""
    lag_s: int = 0
    """The age of the first change that is not in the stream."""
    published: int = 0
    cut: int = 0
    """Documents whose values were left out, as they were larger than the stream takes."""
    failures: int = 0
    lost: int = 0
    """Entries that retention deleted before they were published: consumers lack changes."""
    error: str | None = None
    """Why nothing is published now."""


class Store(msgspec.Struct, kw_only=True):
    """The place of the mirror, as the daemon reaches it.

    While it is away, states are `unknown`, and the figures are those of `as_of`.
    """

    reachable: bool = True
    away_since: str | None = None
    error: str | None = None
    as_of: str | None = None
    """When the figures were known; None if they never were since the start. Only while it is away."""
    engine: str | None = None
    """sqlite, or postgresql."""
    place: str | None = None
    """The path, or the URL without its password."""
    bytes: int | None = None
    """What the mirror takes, with rtsd's own tables and indexes; measured every ten seconds."""
    id: str | None = None
    """The same from all who share the mirror, and no other's."""


class Status(msgspec.Struct, kw_only=True):
    """`GET /v1/status`. `storage`: ok, or the error of the last write."""

    version: str
    protocol: int = PROTOCOL
    started_at: str
    now: str
    org: Org = msgspec.field(default_factory=Org)
    gateway: Gateway = msgspec.field(default_factory=Gateway)
    mode: str = "awaiting_package"
    mode_since: str | None = None
    mode_reason: str = ""
    fresh_goal_ms: int | None = None
    fresh_now_ms: int | None = None
    """How long the changes of the last minute took, in the median; None without any."""
    """The time within which 95 of 100 changes are to be in the mirror; None while no goal is known."""
    package: Package = msgspec.field(default_factory=Package)
    push: Push = msgspec.field(default_factory=Push)
    objects: list[Object] = msgspec.field(default_factory=list)
    quota: Quota = msgspec.field(default_factory=Quota)
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    dead_letters: int = 0
    errors_24h: int = 0
    storage: str = "ok"
    needs_restart: list[str] = msgspec.field(default_factory=list)
    """Tables of the configuration that the last reload found changed, and only a restart applies."""
    store: Store = msgspec.field(default_factory=Store)
    privacy: list[PrivacyChange] = msgspec.field(default_factory=list)
    node: Node | None = None
    """None where one process has the mirror, as on SQLite."""
    nodes: list[SeenNode] = msgspec.field(default_factory=list)
    """All that share the mirror and are alive, as `GET /v1/nodes`."""
    streams: list[PublishedStream] = msgspec.field(default_factory=list)
    last_seq: int = 0
    """The newest entry of the journal; a follower that starts here misses nothing."""
