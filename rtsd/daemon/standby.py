"""A node that stands by: it takes pushes, shows the journal and the status, and forwards the rest."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web

from rtsd import systemd
from rtsd.config import Config
from rtsd.control.documents import not_mirrored
from rtsd.control.exporting import ExportRoute
from rtsd.control.feed import Feed
from rtsd.control.forwarding import Forwarder
from rtsd.control.known_status import starting
from rtsd.control.nodes import NodesRoute
from rtsd.control.openapi.route import OpenApiRoute
from rtsd.control.querying import QueryRoute
from rtsd.control.recent_status import RecentStatus
from rtsd.control.reloading import ReloadRoute
from rtsd.control.standby import JournalTail, LeadersStatus
from rtsd.control.stream import EventStream
from rtsd.core.instant import to_iso
from rtsd.core.payload import Push
from rtsd.core.privacy import MaskedPush, masked_push
from rtsd.daemon.front import Front
from rtsd.daemon.reload import Reloading, without_changes_for_a_restart
from rtsd.errors import RtsError
from rtsd.gateway.server import Backend, GatewayServer
from rtsd.machine import Machine
from rtsd.services import Service, repeat, the_expected_error_alone
from rtsd.store import meta
from rtsd.store.database import Database
from rtsd.store.engine import Engine, Lease
from rtsd.store.health import StorageWatch
from rtsd.store.inbox import Inbox
from rtsd.sync.catalog import PRIVACY_KEY, privacy_rules
from rtsd.sync.intake import Intake
from rtsd.sync.org import ORG_ID

LOOK_EVERY_S = 1.0
"""Seconds between two looks at what the leader has set, which also feed systemd's watchdog."""

log = structlog.get_logger("rtsd")


async def serve_at_the_start(front: Front) -> None:
    """Have the front say what is known before there is a database, and refuse the rest."""

    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise starting()

    own = [*front.status.routes(), web.get("/metrics", front.own_metrics), *OpenApiRoute().routes()]
    await front.control.serve([*own, web.route("*", "/{path:.*}", refuse)])
    if front.metrics is not None:
        front.metrics.answer = front.own_metrics


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a node that stands by."""

    front: Front
    engine: Engine
    lease: Lease
    machine: Machine
    database: Database
    inbox: Inbox


@asynccontextmanager
async def standing_by(front: Front, engine: Engine, lease: Lease, machine: Machine) -> AsyncIterator[None]:
    """Run the block once this node leads; until its end pushes are taken as by one that stands by."""
    async with await engine.open_shared() as database, _given_back_on_failure(lease):
        if await lease.join():
            yield
            return
        inbox = await engine.open_inbox(database)
        front.store.measure(None, inbox.file)
        services = await _open(_Parts(front, engine, lease, machine, database, inbox))
        async with inbox.file, _running(services):
            systemd.ready(f"standing by; {lease.leader} leads")
            await lease.acquire()
            yield
            while await inbox.commit():
                pass


@asynccontextmanager
async def _given_back_on_failure(lease: Lease) -> AsyncIterator[None]:
    """Have another node lead at once, and forget this one, if it ends here."""
    try:
        yield
    except BaseException:
        await lease.release()
        raise


async def _open(parts: _Parts) -> Sequence[Service]:
    """Have the front serve as one that stands by; return the services that this takes."""
    front, database, lease = parts.front, parts.database, parts.lease
    feed = Feed()
    forwarder = Forwarder(database, lease, parts.machine.random_bytes)
    front.status.source = LeadersStatus(
        forwarder, lease, gateway=front.address, started_at=to_iso(front.started_at)
    ).status
    reloader = StandbyReloader(front, parts.machine)
    groups = (
        front.status,
        EventStream(feed, database, RecentStatus(front.status.get), lambda name: _mirrored(front, name)),
        NodesRoute(lease),
        QueryRoute(parts.engine.answers(), database, parts.machine.wall),
        ExportRoute(database, parts.machine.wall),
        ReloadRoute(reloader.reload, _log),
        OpenApiRoute(),
    )
    own = [route for group in groups for route in group.routes()]
    await front.control.serve([*own, web.get("/metrics", front.own_metrics), *forwarder.routes()])
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.on_signal)
    watch = StorageWatch(parts.inbox.file)
    return parts.inbox, JournalTail(database, feed), StandbyGateway(parts), watch


class StandbyGateway(Service):
    """Opens the gateway while pushes can be taken as the leader would take them."""

    name = "standby"

    def __init__(self, parts: _Parts) -> None:
        super().__init__()
        self._front = parts.front
        self._lease = parts.lease
        self._now = parts.machine.wall
        self._database = parts.database
        self._inbox = parts.inbox
        self._rejections = parts.front.rejections
        self._rejections.reporter = _log
        self._said = ""

    async def step(self) -> float:
        """Look at what the leader has set, and report to systemd."""
        systemd.status(f"standing by; {self._lease.leader or 'nobody'} leads")
        systemd.watchdog()
        if self._front.gateway is not None:
            backend = await self._backend()
            if not self._lease.node.leader:  # else the gateway is the leader's from now on
                self._serve(self._front.gateway, backend)
        return LOOK_EVERY_S

    def _serve(self, gateway: GatewayServer, backend: Backend | str) -> None:
        if isinstance(backend, Backend):
            gateway.backend = backend
            self._said = ""
            return
        gateway.refuse(backend)
        if backend != self._said:
            log.warning("pushes are refused", reason=backend)
            self._said = backend

    async def _backend(self) -> Backend | str:
        """Return what takes pushes, or why nothing can."""
        own = next((node for node in await self._lease.nodes() if node.name == self._lease.node.name), None)
        if own is not None and "objects" in own.differs:
            return "its [[objects]] are not the leader's, by whose rules values are hidden"
        key, org_id = await meta.get(self._database, PRIVACY_KEY), await meta.get(self._database, ORG_ID)
        if key is None or org_id is None:
            return "the leader is making the mirror"
        rules = privacy_rules(
            [section.config() for section in self._front.config.objects], bytes.fromhex(key)
        )

        def protect(push: Push) -> MaskedPush:
            return masked_push(push, rules)

        intake = Intake(
            inbox=self._inbox,
            secrets=lambda: self._front.keys.hmac,
            now=self._now,
            org_id=lambda: org_id,
            protect=protect,
            on_push=_leave_to_leader,
            on_rejected=self._rejections.report,
        )
        return Backend(intake, self._rejections.count, lambda: self._inbox.file.failure)


class StandbyReloader(Reloading):
    """Takes secrets and the certificate at once, and the rest once this node leads."""

    def __init__(self, front: Front, machine: Machine) -> None:
        super().__init__(front.config, front.keys, machine.monotonic)
        self._front = front

    def use(self, config: Config) -> None:
        """Keep what counts once this node leads."""
        self.running = self._front.config = without_changes_for_a_restart(self.running, config)


@asynccontextmanager
async def _running(services: Sequence[Service]) -> AsyncIterator[None]:
    """Run services while the block runs. Raises the RtsError of one that failed."""
    with the_expected_error_alone():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(repeat(each, each.step), name=each.name) for each in services]
            yield
            for task in tasks:
                task.cancel()


def _mirrored(front: Front, name: str) -> str:
    """Return the name of a mirrored object as it is configured. Raises NotFound."""
    known = [section.name for section in front.config.objects]
    found = next((each for each in known if each.lower() == name.lower()), None)
    if found is None:
        raise not_mirrored(name, known)
    return found


def _leave_to_leader(*_push: object) -> None:
    """Leave the consequences of a push to the leader, which sees it in the inbox."""


async def _log(error: RtsError) -> None:
    log.warning("error", error=error.code, message=str(error))
