"""The composition root: builds every part, runs them together, and drains them on SIGTERM.

Nothing else asks the operating system for the time. One part that dies unexpectedly stops the daemon,
loudly: a daemon that runs on without one of its parts would be green while broken.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector

from rtsd import __version__, systemd
from rtsd.config import Config, load
from rtsd.config.credentials import credentials
from rtsd.control import protocol, views
from rtsd.control.backup import Backups
from rtsd.control.explain import Explainer
from rtsd.control.feed import Feed
from rtsd.control.metrics import Metrics, MetricsListener
from rtsd.control.operations import Operations
from rtsd.control.package import PackageOperations, PackageRoutes
from rtsd.control.repairs import Repairs
from rtsd.control.rules import RuleOperations
from rtsd.control.server import ControlServer
from rtsd.control.stream import EventStream
from rtsd.control.views import Views
from rtsd.core.instant import Millis
from rtsd.core.quota import API_REQUESTS, BULK_JOBS
from rtsd.core.server_clock import ServerClock
from rtsd.core.signature import key_id
from rtsd.daemon import rules
from rtsd.daemon.gateway import Keys, open_gateway
from rtsd.errors import (
    ConfigError,
    QuotaExhausted,
    RtsError,
    StorageFull,
)
from rtsd.gateway.meters import Meters
from rtsd.gateway.server import GatewayServer
from rtsd.logs import LoopFailures, conceal
from rtsd.rules.engine import RuleEngine
from rtsd.salesforce.client import Client
from rtsd.salesforce.session import Session
from rtsd.store import health
from rtsd.store.database import Database
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Entry, Journal
from rtsd.sync.audit import StateAudit
from rtsd.sync.catalog import Catalog
from rtsd.sync.columns import Columns
from rtsd.sync.conditions import Conditions
from rtsd.sync.controller import Controller
from rtsd.sync.describe import Describer
from rtsd.sync.engine import Engine
from rtsd.sync.fingerprint import Fingerprinter
from rtsd.sync.interval import Interval
from rtsd.sync.ledger import Caps, StoredLedger
from rtsd.sync.limits import Limits
from rtsd.sync.org import OrgIdentity
from rtsd.sync.package import PackageWatch, Wanted
from rtsd.sync.package_errors import PackageErrors
from rtsd.sync.realtime import RealTime
from rtsd.sync.repair import Repair
from rtsd.sync.retention import Keep, Retention
from rtsd.sync.schedule import Schedule

log = structlog.get_logger("rtsd")

FIXED = ("org", "store", "control", "objects")
"""Tables of the configuration that are taken up at the next start only."""
STATUS_LINE_S = 5.0
"""How often systemd's status line is renewed."""
FULL_PAUSE_S = 2.0
"""How long a loop waits for space on a full disk before it tries again."""


def wall_ms() -> Millis:
    """The local time."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> Millis:
    """A clock that nobody sets: for how long things take."""
    return time.monotonic_ns() // 1_000_000


@dataclass
class Parts:
    """What a running daemon consists of."""

    database: Database
    inbox: Inbox
    engine: Engine
    controller: Controller
    feed: Feed
    views: Views
    ledger: StoredLedger
    gateway: GatewayServer | None
    control: ControlServer
    keys: Keys
    retention: Retention
    metrics: MetricsListener | None
    rule_engine: RuleEngine


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Raises the RtsError that keeps it from starting, or that ended it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, int)  # nothing to reload yet, and no reason to die
    loop.set_exception_handler(LoopFailures(wall_ms))
    async with AsyncExitStack() as stack:
        systemd.status("starting")
        parts = await _unless(stop, build(config, stack))
        if parts is None:
            return
        loop.add_signal_handler(signal.SIGHUP, _reload, config, parts)
        parts.control.reload = partial(_take_up, config, parts)
        systemd.ready()
        log.info("ready", version=__version__, gateway=parts.views.gateway.listen, mode=parts.controller.mode)
        try:
            await _run(parts, stop)
        finally:
            systemd.stopping()


async def _unless(stop: asyncio.Event, building: Coroutine[None, None, Parts]) -> Parts | None:
    """Return what is being built, or None when it is to stop before that is done."""
    built, stopping = asyncio.create_task(building), asyncio.create_task(stop.wait())
    await asyncio.wait({built, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if built.done():
        return built.result()
    built.cancel()
    with suppress(asyncio.CancelledError):
        await built
    return None


def _reload(running: Config, parts: Parts) -> None:
    """Take up the configuration on SIGHUP; one with mistakes changes nothing."""
    systemd.reloading()
    try:
        _take_up(running, parts)
    except RtsError as error:
        mistakes = error.mistakes if isinstance(error, ConfigError) else ()
        log.warning("not reloaded", message=str(error), mistakes="; ".join(mistakes))
    systemd.ready()


def _take_up(running: Config, parts: Parts) -> protocol.Reloaded:
    """Take up what can change while running: tokens, schedule, quota, certificate, rules.

    Raises ConfigError, and then nothing has changed.
    """
    config = load(running.path)
    parts.keys.take_up_pair(config)
    rules.take_up_again(parts.rule_engine, config)
    conceal(secret.reveal() for secret in config.secrets())
    parts.keys.hmac = config.gateway.hmac_keys
    parts.controller.schedule = _schedule(config)
    parts.controller.interval.lookback = config.sync.lookback
    parts.ledger.caps = _caps(config)
    parts.controller.wake()
    fixed = [name for name in FIXED if getattr(config, name) != getattr(running, name)]
    if any(getattr(config.gateway, key) != getattr(running.gateway, key) for key in ("listen", "public_url")):
        fixed.append("gateway")
    log.info("reloaded", needs_restart=",".join(fixed))
    return protocol.Reloaded(needs_restart=fixed, token_ids=[key_id(key) for key in parts.keys.hmac])


async def build(config: Config, stack: AsyncExitStack) -> Parts:
    """Build and start every part; the stack stops them in reverse order."""
    early = _EarlyLedger()
    session = Session(credentials(config.org), early, wall_ms)
    if not config.store.path.exists():
        await _first_login(session)
    database = await stack.enter_async_context(await Database.open(config.store.path))
    early.stored = ledger = StoredLedger(database, _caps(config), wall_ms)
    feed = Feed()

    def publish(entries: Sequence[Entry]) -> None:
        feed.publish([views.event(entry) for entry in entries])
        rule_engine.deliverer.on_commit(entries)

    clock = ServerClock()
    client = await stack.enter_async_context(
        Client(
            session,
            ledger,
            wall_ms,
            api_version=config.org.api_version,
            on_usage=ledger.saw_usage,
            on_server_time=clock.observe,
        )
    )
    catalog = await Catalog.open(database, [wanted.config() for wanted in config.objects])
    journal = await Journal.open(database)
    engine = Engine(database, client, catalog, journal, wall_ms, publish, clock)
    inbox = Inbox(database)
    ledger.tell = engine.note
    controller = _controller(config, engine, inbox, ledger)
    shown = Views(engine, controller, ledger, protocol.Gateway(listen=None), started_at=wall_ms())
    rule_engine = RuleEngine(engine, controller, views.event, shown.status)
    if not await controller.org.restore():
        await controller.org.learn()  # a first start needs it; later ones take pushes without waiting
    await controller.restore()
    await rules.start(rule_engine, controller, config)
    keys = Keys(config)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    opened = [one for one in systemd.listen_fds() if one.family != socket.AF_UNIX]
    gateway = await open_gateway(
        config, shown, inbox, keys, meters=Meters(registry), now=wall_ms, sockets=opened
    )
    if gateway is not None:
        stack.push_async_callback(gateway.stop)
    shown_rules = RuleOperations(engine, rule_engine)
    metrics, door = Metrics(registry, shown, feed, shown_rules), None
    if config.control.metrics is not None:
        door = MetricsListener(metrics)
        stack.push_async_callback(door.stop)
        await door.start(config.control.metrics.host, config.control.metrics.port)
    operations = Operations(engine, controller, inbox, ledger, rule_engine)
    control = ControlServer(
        shown,
        stream=EventStream(feed, shown),
        operations=operations,
        repairs=Repairs(engine, controller, operations),
        explainer=Explainer(engine),
        backups=Backups(database, wall_ms),
        metrics=metrics,
        package=PackageRoutes(engine, PackageOperations(engine, controller, ledger)),
        rules=shown_rules,
    )
    await control.start(config.control.socket)
    stack.push_async_callback(control.stop)
    retention = Retention(engine, Keep(config.store.journal_keep, config.store.journal_max))
    return Parts(
        database,
        inbox,
        engine,
        controller,
        feed,
        shown,
        ledger,
        gateway,
        control,
        keys,
        retention,
        door,
        rule_engine,
    )


async def _first_login(session: Session) -> None:
    """Log in before anything is written: a first start with wrong credentials leaves nothing behind."""
    try:
        await session.token()
    except BaseException:
        await session.close()
        raise


class _EarlyLedger:
    """Stands in for the ledger until there is a database: the first login comes before it."""

    def __init__(self) -> None:
        self.stored: StoredLedger | None = None

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        if self.stored is not None:
            await self.stored.spend(purpose, resource, count)

    async def record(self, purpose: str, resource: str, count: int) -> None:
        if self.stored is not None:
            await self.stored.record(purpose, resource, count)

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        if self.stored is not None:
            await self.stored.refused(purpose, resources, error)


async def _run(parts: Parts, stop: asyncio.Event) -> None:
    """Run the parts until stopped, or until one of them dies."""
    controller = parts.controller
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        "inbox": parts.inbox.run,
        "realtime": controller.realtime.run,
        "silence": controller.watch_silence,
        "loading": controller.keep_loading,
        "interval": controller.keep_reading,
        "repair": controller.keep_repairing,
        "deliveries": parts.rule_engine.deliverer.run,
        "alerts": parts.rule_engine.watch.run,
        "fingerprint": controller.keep_checking,
        "systemd": partial(_report_to_systemd, parts),
        "storage": partial(health.watch, parts.database),
    }
    if controller.package is not None:
        loops["package"] = controller.watch_package
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_sit_out(loop), name=name) for name, loop in loops.items()]
            await _until(stop, tasks)
            log.info("stopping")
            if parts.gateway is not None:
                await parts.gateway.stop()  # finishes the pushes in flight, while the inbox still commits
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failures:
        expected, unexpected = failures.split(RtsError)
        if unexpected is None and expected is not None:
            raise expected.exceptions[0] from None
        raise


async def _sit_out(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop, and again once a full disk kept it from writing: space comes back, nothing was lost."""
    while True:
        try:
            await loop()
        except StorageFull as error:
            log.warning("storage full", message=str(error))
            await asyncio.sleep(FULL_PAUSE_S)
        else:
            return


async def _until(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for `stop`. A loop that ends in silence is as bad as one that fails: RuntimeError.

    One that fails cancels this, by the task group.
    """
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and (task.cancelled() or task.exception() is None):
                raise RuntimeError(f"the loop {task.get_name()!r} has ended: rtsd does not run on without it")
        await stopping
    finally:
        stopping.cancel()


async def _report_to_systemd(parts: Parts) -> None:
    """Feed the watchdog for as long as the loop turns and the database answers."""
    while True:
        await parts.database.pulse()
        objects = list(parts.engine.catalog)
        live = sum(1 for one in objects if one.state == "live")
        systemd.status(f"{parts.controller.mode}: {live} of {len(objects)} objects live")
        systemd.watchdog()
        await asyncio.sleep(min(STATUS_LINE_S, (systemd.watchdog_s() or STATUS_LINE_S * 2) / 2))


def _schedule(config: Config) -> Schedule:
    sync = config.sync
    return Schedule(
        sync.silence_after, sync.interval, sync.fingerprint_every, sync.formula_refresh, sync.initial_audit
    )


def _controller(config: Config, engine: Engine, inbox: Inbox, ledger: StoredLedger) -> Controller:
    describer = Describer(engine, config.sync.describe_every)
    interval = Interval(engine, config.sync.lookback)
    return Controller(
        engine,
        _schedule(config),
        realtime=RealTime(engine, inbox, describer.describe_for_push),
        interval=interval,
        audit=StateAudit(engine, interval, Limits(engine.client, ledger, engine.now)),
        columns=Columns(engine),
        fingerprinter=Fingerprinter(engine),
        repair=Repair(engine),
        describer=describer,
        org=OrgIdentity(engine),
        package=_package_watch(config, engine) if config.gateway.listen else None,
        conditions=Conditions(engine, config.sync.describe_every),
        package_errors=PackageErrors(engine, config.sync.describe_every),
        monotonic=monotonic_ms,
    )


def _package_watch(config: Config, engine: Engine) -> PackageWatch:
    wanted = Wanted(config.gateway.public_url, [one.name for one in config.objects])
    return PackageWatch(engine.client, wanted, lambda: engine.org_id, engine.now)


def _caps(config: Config) -> Caps:
    own = {API_REQUESTS: config.quota.daily.api_requests, BULK_JOBS: config.quota.daily.bulk_jobs}
    return Caps(config.quota.reserve, {name: cap for name, cap in own.items() if cap is not None})
