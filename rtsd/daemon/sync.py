"""Construction of the parts that read Salesforce and watch the push channel."""

from __future__ import annotations

from rtsd.config import Config
from rtsd.core.channel import STREAM
from rtsd.daemon.parts import Base, Channel, Readers
from rtsd.daemon.stream import topic_of
from rtsd.sync.audit import StateAudit
from rtsd.sync.capture import Capture
from rtsd.sync.columns import Columns
from rtsd.sync.conditions import Conditions
from rtsd.sync.continuity import Continuity
from rtsd.sync.describe import Describer
from rtsd.sync.evidence import PushEvidence
from rtsd.sync.fingerprint import Fingerprinter
from rtsd.sync.limits import Limits
from rtsd.sync.missed_pushes import MissedPushes, PushActivity
from rtsd.sync.mode import Awaited, ModeMachine
from rtsd.sync.package import PackageWatch, Wanted
from rtsd.sync.package_errors import PackageErrors
from rtsd.sync.package_probe import PackageProbe
from rtsd.sync.reachability import Reachability
from rtsd.sync.relay_watch import RelayWatch
from rtsd.sync.repair import Repair
from rtsd.sync.windows import Windows


def readers_of(base: Base) -> Readers:
    """Build the parts that read Salesforce for the mirror."""
    client, database, catalog, work = base.client, base.database, base.catalog, base.work
    now, server_clock, sync = base.machine.wall, base.server_clock, base.config.sync
    windows = Windows(client, database, work, server_clock, sync.lookback)
    columns = Columns(client, work, server_clock)
    limits = Limits(client, base.ledger, now)
    repair = Repair(
        client,
        database,
        catalog,
        work,
        now=now,
        server_clock=server_clock,
        schedule=base.schedule,
        by_events=base.config.push.channel == "cdc",
    )
    return Readers(
        describer=Describer(
            client, catalog, work, now, period_ms=sync.describe_every, layouts=base.config.store.views.used()
        ),
        windows=windows,
        limits=limits,
        audit=StateAudit(
            client,
            database,
            work,
            now,
            server_clock,
            windows=windows,
            limits=limits,
            columns=columns,
            repair=repair,
        ),
        columns=columns,
        fingerprinter=Fingerprinter(
            client, database, work, now=now, server_clock=server_clock, sleep=base.machine.sleep
        ),
        repair=repair,
    )


def channel_of(base: Base) -> Channel:
    """Build the parts that track how changes arrive."""
    config, monotonic, now = base.config, base.machine.monotonic, base.machine.wall
    database, catalog, work = base.database, base.catalog, base.work
    names = [section.name for section in config.objects]
    public_url = config.gateway.public_url if config.push.channel == "gateway" else ""
    wanted = Wanted(public_url, names, config.push.channel, config.push.sealed)
    package = None
    if config.is_pushed_to:
        package = PackageWatch(base.client, wanted, lambda: base.org.id, now)
    capture = None
    if config.push.channel == "cdc":
        capture = Capture(base.client, database, config.push.topic, names, config.sync.describe_every)
    covering = capture or package
    uncovered = covering.uncovered if covering else list
    push = PushActivity(active_at=monotonic())
    missed_pushes = MissedPushes(
        database,
        catalog,
        work,
        now=now,
        server_clock=base.server_clock,
        push=push,
        schedule=base.schedule,
        uncovered=uncovered,
        by_events=capture is not None,
    )
    continuity = _continuity(base)
    mode = ModeMachine(database, work, now, missed_pushes, continuity=continuity, awaits=_awaits(config))
    relay = None
    if package is not None:
        relay = RelayWatch(
            base.client,
            package,
            push,
            mode,
            missed_pushes=missed_pushes,
            schedule=base.schedule,
            now=now,
            monotonic=monotonic,
        )
    return Channel(
        push=push,
        package=package,
        relay=relay,
        capture=capture,
        uncovered=uncovered,
        conditions=Conditions(
            base.client, database, catalog, work, now=now, period_ms=config.sync.describe_every
        ),
        missed_pushes=missed_pushes,
        continuity=continuity,
        mode=mode,
        evidence=_evidence(base, push, mode, package, relay),
        reachability=Reachability(base.client.exchange, work, mode),
    )


def _continuity(base: Base) -> Continuity:
    config = base.config
    return Continuity(
        base.inbox,
        topic_of(config),
        base.catalog,
        by_package=config.push.channel == STREAM,
        work=base.work,
        schedule=base.schedule,
        server_clock=base.server_clock,
        now=base.machine.wall,
        monotonic=base.machine.monotonic,
    )


def _evidence(
    base: Base, push: PushActivity, mode: ModeMachine, package: PackageWatch | None, relay: RelayWatch | None
) -> PushEvidence:
    return PushEvidence(
        push,
        mode,
        package,
        relay,
        schedule=base.schedule,
        server_clock=base.server_clock,
        monotonic=base.machine.monotonic,
    )


def _awaits(config: Config) -> Awaited:
    if config.is_pushed_to:
        return Awaited.PACKAGE
    return Awaited.STREAM if config.push.channel == "cdc" else Awaited.NOTHING


def package_probe(base: Base, channel: Channel) -> PackageProbe | None:
    """Build the package probe; None without a push channel."""
    if channel.package is None or channel.relay is None:
        return None
    errors = PackageErrors(
        base.client,
        base.database,
        base.catalog,
        base.work,
        now=base.machine.wall,
        server_clock=base.server_clock,
        period_ms=base.config.sync.describe_every,
    )
    return PackageProbe(
        base.work,
        now=base.machine.wall,
        mode=channel.mode,
        watch=channel.package,
        relay=channel.relay,
        conditions=channel.conditions,
        errors=errors,
    )
