"""Building every part, once, in an order that needs no circle: each takes what was built before it."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry, ProcessCollector

from rtsd import systemd
from rtsd.config import Config
from rtsd.config.credentials import credentials
from rtsd.control import protocol, wire
from rtsd.control.metrics import Metrics, MetricsListener
from rtsd.control.rules import RuleRoutes
from rtsd.control.views import Views
from rtsd.core.server_clock import ServerClock
from rtsd.daemon import reload, rules
from rtsd.daemon.control import control_server
from rtsd.daemon.gateway import Keys, gateway_server, open_gateway
from rtsd.daemon.parts import Base, Channel, Parts, Publisher, Readers, Services
from rtsd.daemon.reload import Reloader
from rtsd.daemon.watchdog import Watchdog
from rtsd.gateway.meters import Meters
from rtsd.gateway.server import GatewayServer
from rtsd.machine import Machine
from rtsd.rules.alerts import AlertWatch
from rtsd.rules.deliver import Deliverer
from rtsd.rules.engine import RuleEngine
from rtsd.rules.match import Matcher
from rtsd.salesforce.client import Client
from rtsd.salesforce.session import Session, first_login
from rtsd.services import Runner
from rtsd.store.database import Database
from rtsd.store.health import StorageWatch
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Journal, Note
from rtsd.sync.audit import StateAudit
from rtsd.sync.catalog import Catalog
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
from rtsd.sync.limits import Limits
from rtsd.sync.loading import Loader
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.package import PackageWatch, Wanted
from rtsd.sync.package_errors import PackageErrors
from rtsd.sync.package_probe import PackageProbe
from rtsd.sync.reachability import Reachability
from rtsd.sync.realtime import RealTime
from rtsd.sync.repair import Repair
from rtsd.sync.repairing import Repairing
from rtsd.sync.retention import Keep, Retention
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.silence import PushSeen, Silence
from rtsd.sync.silence_watch import SilenceWatch


async def compose(config: Config, stack: AsyncExitStack, machine: Machine) -> Parts:
    """Build every part, restore what an earlier run left, and open the doors; the stack closes all of it.

    Raises the RtsError that keeps the daemon from starting.
    """
    keys = Keys(config)
    base = await _base(config, stack, machine)
    readers = _readers(base)
    channel = _channel(base)
    inbox = Inbox(base.engine.database)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    meters = Meters(registry)
    gateway = gateway_server(
        config,
        keys,
        base.engine,
        inbox=inbox,
        evidence=channel.evidence,
        push=channel.push,
        meters=meters,
        now=machine.wall,
    )
    shown = _views(base, readers, channel, gateway)
    rule_engine = _rule_engine(base, channel, shown)
    services = _services(base, readers, channel, rule_engine, inbox)
    reloader = _reloader(base, readers, rule_engine, keys, services)
    database = base.engine.database
    shown_rules = RuleRoutes(database, rule_engine, machine.wall)
    metrics = Metrics(registry, shown, base.publisher.feed, shown_rules, database.path)
    parts = Parts(
        base=base,
        readers=readers,
        channel=channel,
        services=services,
        runner=Runner(channel.reachability, machine.wall),
        rule_engine=rule_engine,
        views=shown,
        keys=keys,
        reloader=reloader,
        gateway=gateway,
        metrics=MetricsListener(metrics) if config.control.metrics is not None else None,
        control=control_server(
            base,
            readers,
            channel,
            services,
            rule_engine=rule_engine,
            views=shown,
            metrics=metrics,
            rules=shown_rules,
            reloader=reloader,
        ),
    )
    await _restore(parts)
    await rules.start(rule_engine, readers.describer, config)
    await _open(parts, stack, meters)
    return parts


async def _base(config: Config, stack: AsyncExitStack, machine: Machine) -> Base:
    """Open the database, and what speaks to the org.

    The first login comes before the first file: a first start with wrong credentials leaves nothing behind.
    """
    access = credentials(config.org)
    login = None if config.store.path.exists() else await first_login(access, machine.wall)
    database = await stack.enter_async_context(await Database.open(config.store.path))
    journal = await Journal.open(database)
    publisher = Publisher()

    async def tell(note: Note) -> None:
        async with database.transaction() as tx:
            entries = await journal.append(tx, machine.wall(), [note])
        publisher(entries)

    ledger = StoredLedger(database, reload.caps(config), machine.wall, tell)
    clock = ServerClock()
    client = await stack.enter_async_context(
        Client(
            Session(access, ledger, machine.wall, login=login),
            ledger,
            machine.wall,
            api_version=config.org.api_version,
            on_usage=ledger.saw_usage,
            on_server_time=clock.observe,
            sleep=machine.sleep,
        )
    )
    objects = [section.config() for section in config.objects]
    catalog = await Catalog.open(database, objects, machine.random_bytes)
    matcher = Matcher(journal, wire.event, machine.random_bytes)
    return Base(
        config=config,
        machine=machine,
        engine=Engine(database, client, catalog, journal, machine.wall, publisher, clock, matcher),
        ledger=ledger,
        matcher=matcher,
        publisher=publisher,
        schedule=CurrentSchedule(reload.schedule(config)),
    )


def _readers(base: Base) -> Readers:
    engine, sync = base.engine, base.config.sync
    interval = Interval(engine, sync.lookback)
    return Readers(
        org=OrgIdentity(engine),
        describer=Describer(engine, sync.describe_every),
        interval=interval,
        audit=StateAudit(engine, interval, Limits(engine.client, base.ledger, engine.now)),
        columns=Columns(engine),
        fingerprinter=Fingerprinter(engine, base.machine.sleep),
        repair=Repair(engine),
    )


def _channel(base: Base) -> Channel:
    engine, config, monotonic = base.engine, base.config, base.machine.monotonic
    wanted = Wanted(config.gateway.public_url, [section.name for section in config.objects])
    package = None
    if config.gateway.listen:
        package = PackageWatch(engine.client, wanted, lambda: engine.org_id, engine.now)
    push = PushSeen(heard=monotonic())
    silence = Silence(engine, push, base.schedule, package.uncovered if package else list)
    mode = ModeMachine(engine, silence, has_gateway=package is not None)
    return Channel(
        push=push,
        package=package,
        conditions=Conditions(engine, config.sync.describe_every),
        silence=silence,
        mode=mode,
        evidence=PushEvidence(push, mode, package, monotonic),
        reachability=Reachability(engine, mode),
    )


def _views(base: Base, readers: Readers, channel: Channel, gateway: GatewayServer | None) -> Views:
    def address() -> protocol.Gateway:
        if gateway is None:
            return protocol.Gateway()
        return protocol.Gateway(listen=gateway.address, public_url=base.config.gateway.public_url or None)

    return Views(
        base.engine,
        mode=channel.mode,
        reachability=channel.reachability,
        org=readers.org,
        push=channel.push,
        silence=channel.silence,
        package=channel.package,
        ledger=base.ledger,
        gateway=address,
        started_at=base.machine.wall(),
    )


def _rule_engine(base: Base, channel: Channel, shown: Views) -> RuleEngine:
    engine, random_bytes = base.engine, base.machine.random_bytes
    return RuleEngine(
        engine,
        matcher=base.matcher,
        deliverer=Deliverer(engine, base.publisher.fired),
        watch=AlertWatch(engine, channel.push, channel.reachability, shown.status, random_bytes),
        random_bytes=random_bytes,
    )


def _services(
    base: Base, readers: Readers, channel: Channel, rule_engine: RuleEngine, inbox: Inbox
) -> Services:
    """Build what runs."""
    engine, config, schedule, mode = base.engine, base.config, base.schedule, channel.mode
    describer = readers.describer
    package, period = channel.package, config.sync.describe_every
    checks = Checks(
        engine,
        mode,
        schedule,
        fingerprinter=readers.fingerprinter,
        repair=readers.repair,
        silence=channel.silence,
    )
    return Services(
        inbox=inbox,
        evidence=channel.evidence,
        realtime=RealTime(engine, inbox, mode, describer.describe_for_push),
        silence_watch=SilenceWatch(channel.push, mode, schedule, package, base.machine.monotonic),
        package_probe=PackageProbe(engine, mode, package, channel.conditions, PackageErrors(engine, period))
        if package
        else None,
        interval_sync=IntervalSync(
            engine,
            mode,
            schedule,
            interval=readers.interval,
            describer=describer,
            silence=channel.silence,
            package=package,
        ),
        loader=Loader(
            engine,
            mode,
            schedule,
            audit=readers.audit,
            checks=checks,
            columns=readers.columns,
            describer=describer,
            org=readers.org,
        ),
        checks=checks,
        repairing=Repairing(engine, mode, readers.repair),
        deliverer=rule_engine.deliverer,
        alerts=rule_engine.watch,
        retention=Retention(engine, Keep(config.store.journal_keep, config.store.journal_max)),
        storage_watch=StorageWatch(engine.database),
        watchdog=Watchdog(engine.database, engine.catalog, mode),
    )


def _reloader(
    base: Base, readers: Readers, rule_engine: RuleEngine, keys: Keys, services: Services
) -> Reloader:
    return Reloader(
        base.config,
        keys=keys,
        rule_engine=rule_engine,
        schedule=base.schedule,
        interval=readers.interval,
        ledger=base.ledger,
        services=services,
        monotonic=base.machine.monotonic,
    )


async def _restore(parts: Parts) -> None:
    """Restore what an earlier run knew; a first start has to learn which org it is."""
    if not await parts.readers.org.restore():
        await parts.readers.org.learn()
    await parts.channel.silence.restore()
    await parts.channel.conditions.restore()
    await parts.channel.mode.restore()


async def _open(parts: Parts, stack: AsyncExitStack, meters: Meters) -> None:
    """Listen: for pushes on sockets that systemd opened, if it did, for scrapes, and for operators."""
    config = parts.base.config
    opened = [one for one in systemd.listen_fds() if one.family != socket.AF_UNIX]
    if parts.gateway is not None and config.gateway.listen is not None:
        await open_gateway(parts.gateway, config.gateway.listen, parts.keys, meters, opened)
        stack.push_async_callback(parts.gateway.stop)
    if parts.metrics is not None and config.control.metrics is not None:
        stack.push_async_callback(parts.metrics.stop)
        await parts.metrics.start(config.control.metrics.host, config.control.metrics.port)
    await parts.control.start(config.control.socket)
    stack.push_async_callback(parts.control.stop)
