"""A node that stands by: it takes pushes, shows the journal and the status, and forwards the rest."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from rtsd import systemd
from rtsd.config import load
from rtsd.control import protocol
from rtsd.control.feed import Feed
from rtsd.control.forwarding import Forwarder
from rtsd.control.nodes import NodesRoute
from rtsd.control.querying import QueryRoute
from rtsd.control.reloading import ReloadRoute
from rtsd.control.standby import JournalTail, LeadersStatus
from rtsd.control.stream import EventStream
from rtsd.core.instant import to_iso
from rtsd.core.payload import Push
from rtsd.core.privacy import MaskedPush, masked_push
from rtsd.core.signature import key_id
from rtsd.daemon.front import Front
from rtsd.daemon.reload import changes_for_a_restart, without_changes_for_a_restart
from rtsd.errors import ConfigError, LeaderAway, NotFound, RtsError
from rtsd.gateway.rejections import Rejections
from rtsd.gateway.server import Backend, GatewayServer
from rtsd.logs import conceal
from rtsd.machine import Machine
from rtsd.services import Service, repeat
from rtsd.store import meta
from rtsd.store.database import Database
from rtsd.store.engine import Engine, Lease
from rtsd.store.inbox import Inbox
from rtsd.sync.catalog import PRIVACY_KEY, privacy_rules
from rtsd.sync.intake import Intake
from rtsd.sync.org import ORG_ID

LOOK_EVERY_S = 1.0
"""Seconds between two looks at what the leader has set, which also feed systemd's watchdog."""

log = structlog.get_logger("rtsd")


async def starting(_request: web.Request) -> web.StreamResponse:
    """Refuse what an operator wants before there is a database."""
    raise LeaderAway("rtsd is starting, and waits for the database or for Salesforce", "its log tells why")


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
        async with inbox.file:
            await inbox.restore()
            async with _running(await _open(_Parts(front, engine, lease, machine, database, inbox))):
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
    started_at = to_iso(parts.machine.wall())
    status = LeadersStatus(forwarder, lease, gateway=front.address, started_at=started_at)
    reloader = StandbyReloader(front, parts.machine)
    groups = (
        status,
        EventStream(feed, database, status, lambda name: _mirrored(front, name)),
        NodesRoute(lease),
        QueryRoute(parts.engine.answers()),
        ReloadRoute(reloader.reload, _log),
    )
    own = [route for group in groups for route in group.routes()]
    metrics = _Metrics(front)
    await front.control.serve([*own, web.get("/metrics", metrics.answer), *forwarder.routes()])
    if front.metrics is not None:
        front.metrics.answer = metrics.answer
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.on_signal)
    return parts.inbox, JournalTail(database, feed), StandbyGateway(parts)


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
        self._rejections = Rejections(_log, parts.machine.wall)
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


class StandbyReloader:
    """Reads the configuration again: secrets and the certificate count at once, the rest once it leads."""

    def __init__(self, front: Front, machine: Machine) -> None:
        self._front = front
        self._machine = machine

    def reload(self) -> protocol.Reloaded:
        """Reload; return the changes that need a restart. Raises ConfigError; then nothing has changed."""
        front = self._front
        config = load(front.config.path)
        front.keys.replace_pair(config)
        conceal(secret.reveal() for secret in config.secrets())
        front.keys.hmac = config.hmac_keys
        fixed = changes_for_a_restart(front.config, config)
        front.config = without_changes_for_a_restart(front.config, config)
        log.info("reloaded", needs_restart=",".join(fixed))
        return protocol.Reloaded(needs_restart=fixed, token_ids=[key_id(key) for key in front.keys.hmac])

    def on_signal(self) -> None:
        """Reload on SIGHUP; log a configuration with mistakes and keep the current one."""
        systemd.reloading(self._machine.monotonic())
        try:
            self.reload()
        except RtsError as error:
            mistakes = error.mistakes if isinstance(error, ConfigError) else ()
            log.warning("not reloaded", message=str(error), mistakes="; ".join(mistakes))
        systemd.ready()


class _Metrics:
    """The metrics of this node; the leader has those of the mirror."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def answer(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._front.registry), headers={"Content-Type": content_type})


@asynccontextmanager
async def _running(services: Sequence[Service]) -> AsyncIterator[None]:
    """Run services while the block runs. Raises the RtsError of one that failed."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(repeat(each, each.step), name=each.name) for each in services]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failures:
        expected, unexpected = failures.split(RtsError)
        if unexpected is None and expected is not None:
            raise expected.exceptions[0] from None
        raise


def _mirrored(front: Front, name: str) -> str:
    """Return the name of a mirrored object as it is configured. Raises NotFound."""
    known = [section.name for section in front.config.objects]
    for found in known:
        if found.lower() == name.lower():
            return found
    raise NotFound(f"{name} is not mirrored here", f"mirrored are: {', '.join(known)}")


def _leave_to_leader(*_push: object) -> None:
    """Leave the consequences of a push to the leader, which sees it in the inbox."""


async def _log(error: RtsError) -> None:
    log.warning("error", error=error.code, message=str(error))
