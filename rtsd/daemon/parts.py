"""What a running daemon consists of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from rtsd.config import Config
from rtsd.control import wire
from rtsd.control.feed import Feed
from rtsd.control.metrics import MetricsListener
from rtsd.control.server import ControlServer
from rtsd.control.views import Views
from rtsd.daemon.gateway import Keys
from rtsd.daemon.reload import Reloader
from rtsd.daemon.watchdog import Watchdog
from rtsd.gateway.server import GatewayServer
from rtsd.machine import Machine
from rtsd.rules.alerts import AlertWatch
from rtsd.rules.deliver import Deliverer
from rtsd.rules.engine import RuleEngine
from rtsd.rules.match import Matcher
from rtsd.services import Runner, Service
from rtsd.store.database import Database
from rtsd.store.health import StorageWatch
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Entry
from rtsd.sync.audit import StateAudit
from rtsd.sync.checks import Checks
from rtsd.sync.columns import Columns
from rtsd.sync.conditions import Conditions
from rtsd.sync.describe import Describer
from rtsd.sync.engine import Engine
from rtsd.sync.evidence import PushEvidence
from rtsd.sync.fingerprint import Fingerprinter
from rtsd.sync.interval import Interval
from rtsd.sync.interval_sync import IntervalSync
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.loading import Loader
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.package import PackageWatch
from rtsd.sync.package_probe import PackageProbe
from rtsd.sync.reachability import Reachability
from rtsd.sync.realtime import RealTime
from rtsd.sync.repair import Repair
from rtsd.sync.repairing import Repairing
from rtsd.sync.retention import Retention
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.silence import PushSeen, Silence
from rtsd.sync.silence_watch import SilenceWatch


class Publisher:
    """Hands on journal entries once they are committed."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.fired = asyncio.Event()
        """Set when a rule or an alert has fired: there is something to deliver."""

    def __call__(self, entries: Sequence[Entry]) -> None:
        """Publish entries to followers, and wake the deliveries."""
        self.feed.publish([wire.event(entry) for entry in entries])
        if any(entry.note.type == "rule" and entry.note.outcome == "fired" for entry in entries):
            self.fired.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every other part stands on."""

    config: Config
    machine: Machine
    engine: Engine
    ledger: StoredLedger
    matcher: Matcher
    publisher: Publisher
    schedule: CurrentSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """What reads Salesforce for the mirror, one object at a time."""

    org: OrgIdentity
    describer: Describer
    interval: Interval
    audit: StateAudit
    columns: Columns
    fingerprinter: Fingerprinter
    repair: Repair


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """How changes arrive, and what is known of where they come from."""

    push: PushSeen
    package: PackageWatch | None
    """None without a gateway: nothing is pushed then."""
    conditions: Conditions
    silence: Silence
    mode: ModeMachine
    evidence: PushEvidence
    reachability: Reachability


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What runs: every field here, and nothing else."""

    inbox: Inbox
    evidence: PushEvidence
    realtime: RealTime
    silence_watch: SilenceWatch
    package_probe: PackageProbe | None
    interval_sync: IntervalSync
    loader: Loader
    checks: Checks
    repairing: Repairing
    deliverer: Deliverer
    alerts: AlertWatch
    retention: Retention
    storage_watch: StorageWatch
    watchdog: Watchdog

    def __iter__(self) -> Iterator[Service]:
        services = (getattr(self, field.name) for field in fields(self))
        return (service for service in services if service is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A daemon, built and open."""

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

    @property
    def engine(self) -> Engine:
        """What every part of the sync works with."""
        return self.base.engine

    @property
    def database(self) -> Database:
        """The open database."""
        return self.base.engine.database
