"""Construction of every part, once, in dependency order: a part receives only parts built before it."""

from __future__ import annotations

from contextlib import AsyncExitStack

from rtsd.config import Config
from rtsd.config.credentials import credentials
from rtsd.config.engine import engine_of
from rtsd.control import wire
from rtsd.control.forwarding import ForwardedRequests
from rtsd.control.metrics import Metrics
from rtsd.control.rules import RuleRoutes
from rtsd.control.store_facts import StoreFacts
from rtsd.control.views import Views
from rtsd.core.server_clock import ServerClock
from rtsd.daemon import fanout, reload, rules
from rtsd.daemon.control import control_routes
from rtsd.daemon.first_start import ends_login, ends_start, patiently
from rtsd.daemon.front import Front
from rtsd.daemon.gateway import Keys
from rtsd.daemon.parts import Base, Channel, Parts, Publisher, Readers, Services
from rtsd.daemon.reload import Reloader
from rtsd.daemon.standby import serve_at_the_start, standing_by
from rtsd.daemon.stream import StreamChannel, require_extra, stream_channel
from rtsd.daemon.sync import channel_of, package_probe, readers_of
from rtsd.daemon.views import views_of
from rtsd.daemon.watchdog import Watchdog
from rtsd.fanout.fanout import Fanout
from rtsd.gateway.rejections import Rejections
from rtsd.gateway.server import Backend
from rtsd.machine import Machine
from rtsd.rules.engine import RuleEngine
from rtsd.rules.match import Matcher
from rtsd.salesforce.client import Client
from rtsd.salesforce.login import Login
from rtsd.salesforce.session import Session, first_login
from rtsd.services import Runner
from rtsd.store import views
from rtsd.store.engine import Engine
from rtsd.store.health import StorageWatch
from rtsd.store.journal import Journal, Note
from rtsd.sync import privacy_change
from rtsd.sync.apply import Applier
from rtsd.sync.catalog import Catalog, privacy_key
from rtsd.sync.checks import Checks
from rtsd.sync.intake import Intake
from rtsd.sync.interval_sync import IntervalSync
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.loading import Loader
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.realtime import RealTime
from rtsd.sync.repair import RepairService
from rtsd.sync.retention import Keep, Retention
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.silence_watch import SilenceWatch
from rtsd.sync.unit_of_work import UnitsOfWork


async def compose(config: Config, stack: AsyncExitStack, machine: Machine) -> Parts:
    """Build every part, restore the state of the last run, and open the listeners; `stack` closes them all.

    Where nodes share the mirror, listen at once, and build the parts once this node leads. Raises the
    RtsError that prevents the daemon from starting.
    """
    engine = engine_of(config)
    front = Front(config, engine, machine)
    require_extra(config)
    fanout.require_extra(config)
    if engine.lease is None:
        return await _compose(front, engine, await _first_login(front, engine, machine), stack, machine)
    await serve_at_the_start(front)
    await front.open(stack)
    login = await _first_login(front, engine, machine)
    async with standing_by(front, engine, engine.lease, machine):
        return await _compose(front, engine, login, stack, machine)


async def _first_login(front: Front, engine: Engine, machine: Machine) -> Login | None:
    """Log in before anything is created on a first start, so that wrong credentials leave nothing behind."""
    if await engine.exists():
        return None
    front.require_free()
    access = credentials(front.config.org)
    return await patiently(lambda: first_login(access, machine.wall), machine.sleep, lasting=ends_login)


async def _compose(
    front: Front, engine: Engine, login: Login | None, stack: AsyncExitStack, machine: Machine
) -> Parts:
    base = await _base(front, engine, login, stack, machine)
    readers = readers_of(base)
    channel = channel_of(base)
    front.rejections.reporter = base.work.report
    intake = _intake(base, channel, front.keys, front.rejections)
    interval_sync = _interval_sync(base, readers, channel)
    stream = stream_channel(base, readers.limits, channel, intake, interval_sync)
    outlets = fanout.fanout_of(base)
    shown = views_of(base, channel, front, stream, fanout=outlets)
    rule_engine = rules.engine_of(base, channel, shown, outlets)
    services = _services(
        base,
        readers,
        channel,
        rule_engine=rule_engine,
        interval_sync=interval_sync,
        stream=stream,
        outlets=outlets,
    )
    reloader = _reloader(base, readers, rule_engine, front.keys, services, shown=shown)
    shown_rules = RuleRoutes(base.database, rule_engine, machine.wall)
    metrics = Metrics(front.registry, front.status, base.publisher.feed, shown_rules, base.engine)
    parts = Parts(
        base=base,
        readers=readers,
        channel=channel,
        services=services,
        runner=Runner(channel.reachability, machine.wall),
        rule_engine=rule_engine,
        views=shown,
        keys=front.keys,
        reloader=reloader,
        gateway=front.gateway,
        metrics=front.metrics,
        control=front.control,
    )
    await _restore(parts, stream)
    front.status.source = shown.status
    await rules.start(rule_engine, readers.describer, front.config)
    if front.gateway is not None:
        front.gateway.backend = _backend(base, intake, front.rejections)
    if front.metrics is not None:
        front.metrics.answer = metrics.answer
    routes, on_stop = control_routes(
        base,
        readers,
        channel,
        services,
        rule_engine=rule_engine,
        known=front.status,
        metrics=metrics,
        rules=shown_rules,
        reloader=reloader,
    )
    await front.control.serve(routes, on_stop)
    await front.open(stack)
    return parts


def _backend(base: Base, intake: Intake, rejections: Rejections) -> Backend:
    mirror, inbox = base.database, base.inbox.file
    return Backend(intake, rejections.count, lambda: mirror.failure or inbox.failure)


async def _base(
    front: Front, engine: Engine, login: Login | None, stack: AsyncExitStack, machine: Machine
) -> Base:
    """Open the database and the connection to the org."""
    config = front.config
    access = credentials(config.org)
    database = await stack.enter_async_context(await engine.open())
    front.require_free()  # before a call of the org; the socket is claimed once all is built
    inbox = await engine.open_inbox(database)
    await stack.enter_async_context(inbox.file)
    front.store.measure(database, inbox.file)
    journal = await Journal.open(database)
    publisher = Publisher()

    async def write_note(note: Note) -> None:
        async with database.transaction() as tx:
            entries = await journal.append(tx, machine.wall(), [note])
        publisher(entries)

    ledger = StoredLedger(database, reload.caps(config), machine.wall, write_note)
    server_clock = ServerClock(machine.wall)
    session = Session(access, ledger, machine.wall, login=login, on_server_time=server_clock.observe)
    client = await stack.enter_async_context(_client(config, machine, session, ledger, server_clock))
    objects = [section.config() for section in config.objects]
    key = await privacy_key(database, machine.random_bytes)
    applied = await privacy_change.apply(database, inbox, objects, key, write_note)
    await views.apply(database, config.store.views.used(), [wanted.name for wanted in objects], write_note)
    await inbox.restore()
    catalog = await Catalog.open(database, objects, key)
    matcher = Matcher(journal, wire.event, machine.random_bytes)
    applier = Applier(catalog, journal, matcher)
    return Base(
        config=config,
        machine=machine,
        engine=engine,
        database=database,
        inbox=inbox,
        session=session,
        client=client,
        server_clock=server_clock,
        catalog=catalog,
        journal=journal,
        work=UnitsOfWork(
            database,
            applier=applier,
            journal=journal,
            publish=publisher,
            now=machine.wall,
            server_clock=server_clock,
        ),
        org=OrgIdentity(client, database),
        ledger=ledger,
        matcher=matcher,
        publisher=publisher,
        schedule=CurrentSchedule(reload.schedule(config)),
        store=StoreFacts(engine, database, key, machine.wall),
        privacy=applied,
    )


def _client(
    config: Config, machine: Machine, session: Session, ledger: StoredLedger, server_clock: ServerClock
) -> Client:
    return Client(
        session,
        ledger,
        machine.wall,
        api_version=config.org.api_version,
        on_usage=ledger.observe_usage,
        on_server_time=server_clock.observe,
        sleep=machine.sleep,
    )


def _intake(base: Base, channel: Channel, keys: Keys, rejections: Rejections) -> Intake:
    return Intake(
        inbox=base.inbox,
        secrets=lambda: keys.hmac,
        now=base.machine.wall,
        org_id=lambda: base.org.id,
        protect=base.catalog.protect,
        on_push=channel.evidence.add,
        on_rejected=rejections.report,
    )


def _interval_sync(base: Base, readers: Readers, channel: Channel) -> IntervalSync:
    return IntervalSync(
        base.catalog,
        base.work,
        channel.mode,
        base.schedule,
        now=base.machine.wall,
        windows=readers.windows,
        describer=readers.describer,
        missed_pushes=channel.missed_pushes,
        continuity=channel.continuity,
        uncovered=channel.uncovered,
        relay=channel.relay,
    )


def _services(
    base: Base,
    readers: Readers,
    channel: Channel,
    *,
    rule_engine: RuleEngine,
    interval_sync: IntervalSync,
    stream: StreamChannel | None,
    outlets: Fanout,
) -> Services:
    """Build the services."""
    database, catalog, work, now = base.database, base.catalog, base.work, base.machine.wall
    config, schedule, mode, describer = base.config, base.schedule, channel.mode, readers.describer
    checks = _checks(base, readers, channel)
    lease = base.engine.lease
    return Services(
        lease=lease,
        requests=None if lease is None else ForwardedRequests(database, lease, config.control.socket),
        inbox=base.inbox,
        evidence=channel.evidence,
        capture=channel.capture,
        deliveries=None if stream is None else stream.deliveries,
        subscriber=None if stream is None else stream.subscriber,
        realtime=RealTime(
            database,
            catalog,
            work,
            server_clock=base.server_clock,
            org=base.org,
            box=base.inbox,
            mode=mode,
            push=channel.push,
            evidence=channel.evidence,
            describe=describer.describe_for_push,
        ),
        silence_watch=SilenceWatch(
            channel.push,
            mode,
            schedule,
            channel.package,
            interval_sync=interval_sync,
            missed_pushes=channel.missed_pushes,
            monotonic=base.machine.monotonic,
        ),
        package_probe=package_probe(base, channel),
        interval_sync=interval_sync,
        loader=_loader(base, readers, mode, checks),
        checks=checks,
        repairs=RepairService(readers.repair, mode, work.fetch_wanted),
        deliverer=rule_engine.deliverer,
        alerts=rule_engine.watch,
        fanout=outlets,
        retention=Retention(
            database, base.inbox, now, Keep(config.store.journal_keep, config.store.journal_max)
        ),
        storage_watch=StorageWatch(database, base.inbox.file),
        watchdog=Watchdog((database, base.inbox.file), catalog, mode),
    )


def _checks(base: Base, readers: Readers, channel: Channel) -> Checks:
    return Checks(
        base.database,
        base.catalog,
        base.work,
        now=base.machine.wall,
        mode=channel.mode,
        schedule=base.schedule,
        describer=readers.describer,
        fingerprinter=readers.fingerprinter,
        repair=readers.repair,
        missed_pushes=channel.missed_pushes,
    )


def _loader(base: Base, readers: Readers, mode: ModeMachine, checks: Checks) -> Loader:
    return Loader(
        base.database,
        base.catalog,
        base.work,
        now=base.machine.wall,
        server_clock=base.server_clock,
        mode=mode,
        schedule=base.schedule,
        audit=readers.audit,
        checks=checks,
        columns=readers.columns,
        windows=readers.windows,
        describer=readers.describer,
        org=base.org,
    )


def _reloader(
    base: Base, readers: Readers, rule_engine: RuleEngine, keys: Keys, services: Services, *, shown: Views
) -> Reloader:
    reloader = Reloader(
        base.config,
        keys=keys,
        rule_engine=rule_engine,
        schedule=base.schedule,
        windows=readers.windows,
        fanout=services.fanout,
        ledger=base.ledger,
        services=services,
        monotonic=base.machine.monotonic,
    )
    shown.needs_restart = lambda: reloader.needs_restart
    return reloader


async def _restore(parts: Parts, stream: StreamChannel | None) -> None:
    """Restore the state of the last run; on a first start, ask the org for its identity."""
    if not await parts.base.org.restore():
        await patiently(parts.base.org.identify, parts.base.machine.sleep, lasting=ends_start)
    if stream is not None:
        await stream.receiver.restore()
    await parts.channel.continuity.restore()
    if parts.channel.capture is not None:
        await parts.channel.capture.restore()
    await parts.channel.missed_pushes.restore()
    await parts.channel.conditions.restore()
    await parts.channel.mode.restore()
