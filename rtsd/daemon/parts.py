"""The parts of a running daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields

from rtsd.config import Config
from rtsd.control import wire
from rtsd.control.feed import Feed
from rtsd.control.forwarding import ForwardedRequests
from rtsd.control.metrics import MetricsListener
from rtsd.control.server import ControlServer
from rtsd.control.store_facts import StoreFacts
from rtsd.control.views import Views
from rtsd.core.server_clock import ServerClock
from rtsd.daemon.gateway import Keys
from rtsd.daemon.reload import Reloader
from rtsd.daemon.watchdog import Watchdog
from rtsd.fanout.fanout import Fanout
from rtsd.gateway.server import GatewayServer
from rtsd.machine import Machine
from rtsd.rules.alerts import AlertWatch
from rtsd.rules.deliver import Deliverer
from rtsd.rules.engine import RuleEngine
from rtsd.rules.match import Matcher
from rtsd.salesforce.client import Client
from rtsd.salesforce.session import Session
from rtsd.services import Runner, Service
from rtsd.store.database import Database
from rtsd.store.engine import Engine, Lease
from rtsd.store.health import StorageWatch
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Entry, Journal
from rtsd.sync.audit import StateAudit
from rtsd.sync.capture import Capture
from rtsd.sync.catalog import Catalog
from rtsd.sync.checks import Checks
from rtsd.sync.columns import Columns
from rtsd.sync.conditions import Conditions
from rtsd.sync.continuity import Continuity
from rtsd.sync.deliveries import Deliveries
from rtsd.sync.describe import Describer
from rtsd.sync.evidence import PushEvidence
from rtsd.sync.fingerprint import Fingerprinter
from rtsd.sync.interval_sync import IntervalSync
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.limits import Limits
from rtsd.sync.loading import Loader
from rtsd.sync.missed_pushes import MissedPushes, PushActivity
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.package import PackageWatch
from rtsd.sync.package_probe import PackageProbe
from rtsd.sync.privacy_change import Applied
from rtsd.sync.reachability import Reachability
from rtsd.sync.realtime import RealTime
from rtsd.sync.relay_watch import RelayWatch
from rtsd.sync.repair import Repair, RepairService
from rtsd.sync.retention import Retention
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.silence_watch import SilenceWatch
from rtsd.sync.unit_of_work import UnitsOfWork
from rtsd.sync.windows import Windows


class Publisher:
    """Publishes journal entries after their commit."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.fired = asyncio.Event()
        """Set when a rule or an alert has fired, to wake the deliverer."""
        self.changed = asyncio.Event()
        """Set when a change was applied, to wake the fan-out."""

    def __call__(self, entries: Sequence[Entry]) -> None:
        """Publish entries to followers of the feed, and wake what waits for changes or fired rules."""
        self.feed.publish([wire.event(entry) for entry in entries])
        if any(entry.note.type == "rule" and entry.note.outcome == "fired" for entry in entries):
            self.fired.set()
        if any(entry.note.type == "change" for entry in entries):
            self.changed.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The parts that every other part depends on."""

    config: Config
    machine: Machine
    engine: Engine
    database: Database
    inbox: Inbox
    session: Session
    client: Client
    server_clock: ServerClock
    catalog: Catalog
    journal: Journal
    work: UnitsOfWork
    org: OrgIdentity
    ledger: StoredLedger
    matcher: Matcher
    publisher: Publisher
    schedule: CurrentSchedule
    store: StoreFacts
    privacy: Sequence[Applied]
    """The changes of privacy that this start has applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """The parts that read Salesforce for the mirror, one object at a time."""

    describer: Describer
    windows: Windows
    limits: Limits
    audit: StateAudit
    columns: Columns
    fingerprinter: Fingerprinter
    repair: Repair


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """The parts that track how changes arrive and the state of the package that pushes them."""

    push: PushActivity
    package: PackageWatch | None
    """None unless a package is expected to push."""
    relay: RelayWatch | None
    capture: Capture | None
    """None unless change events are the channel."""
    uncovered: Callable[[], Collection[str]]
    """Returns the names of the mirrored objects whose changes nothing pushes."""
    conditions: Conditions
    missed_pushes: MissedPushes
    continuity: Continuity
    mode: ModeMachine
    evidence: PushEvidence
    reachability: Reachability


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services: the daemon runs every field, and nothing else."""

    lease: Lease | None
    requests: ForwardedRequests | None
    """Those of other nodes; None unless nodes share the mirror."""
    inbox: Inbox
    evidence: PushEvidence
    capture: Capture | None
    deliveries: Deliveries | None
    subscriber: Service | None
    realtime: RealTime
    silence_watch: SilenceWatch
    package_probe: PackageProbe | None
    interval_sync: IntervalSync
    loader: Loader
    checks: Checks
    repairs: RepairService
    deliverer: Deliverer
    alerts: AlertWatch
    fanout: Fanout
    retention: Retention
    storage_watch: StorageWatch
    watchdog: Watchdog

    def __iter__(self) -> Iterator[Service]:
        services = (getattr(self, field.name) for field in fields(self))
        return (service for service in services if service is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A daemon that is built and listening."""

    base: Base
    readers: Readers
    channel: Channel
    services: Services
    runner: Runner
    rule_engine: RuleEngine
    views: Views
    keys: Keys
    reloader: Reloader
    gateway: GatewayServer | None
    metrics: MetricsListener | None
    control: ControlServer
