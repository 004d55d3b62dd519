"""What others reach of a process for as long as it runs, whether it leads or stands by."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from rtsd import __version__, systemd
from rtsd.config import Config
from rtsd.control import access, protocol
from rtsd.control.known_status import UNKNOWN, KnownStatus
from rtsd.control.metrics import MetricsListener, exposition
from rtsd.control.server import ControlServer
from rtsd.control.store_meters import StoreMeters
from rtsd.core.instant import to_iso
from rtsd.daemon.gateway import Keys, open_gateway
from rtsd.gateway.meters import Meters
from rtsd.gateway.rejections import Rejections
from rtsd.gateway.server import GatewayServer
from rtsd.machine import Machine
from rtsd.store.engine import Engine


class Front:
    """The gateway, the control socket and the metrics, with what they show of themselves."""

    def __init__(self, config: Config, engine: Engine, machine: Machine) -> None:
        """Load the secrets and the TLS pair. Raises ConfigError."""
        self.config = config
        self.started_at = machine.wall()
        self._lease = engine.lease
        self._now = machine.wall
        self.keys = Keys(config)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.meters = Meters(self.registry)
        self.gateway = GatewayServer(self.meters, machine.wall) if config.gateway.listen else None
        self.metrics = MetricsListener() if config.control.metrics else None
        self.control = ControlServer()
        self.rejections = Rejections(machine.wall)
        if self._lease is not None:
            self._lease.refused = self.rejections.refused
        gateway = self.gateway
        self.store = StoreMeters(self.registry, engine, None if gateway is None else lambda: gateway.is_ready)
        self.status = KnownStatus(engine.outage, machine.wall, self._of_itself)
        self._is_open = False

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen for pushes (on sockets passed by systemd, if any), for scrapes and for operators, once.

        `stack` closes it before what it holds now. Raises AddressInUse.
        """
        stack.push_async_callback(self._close)
        if self._is_open:
            return
        config = self.config
        inherited = [listener for listener in systemd.listen_fds() if listener.family != socket.AF_UNIX]
        if self.gateway is not None and config.gateway.listen is not None:
            await open_gateway(self.gateway, config.gateway.listen, self.keys, self.meters, inherited)
        if self.metrics is not None and config.control.metrics is not None:
            await self.metrics.start(config.control.metrics.host, config.control.metrics.port)
        await self.control.start(config.control.socket)
        self._is_open = True

    async def _close(self) -> None:
        await self.control.stop()
        if self.metrics is not None:
            await self.metrics.stop()
        if self.gateway is not None:
            await self.gateway.stop()

    def require_free(self) -> None:
        """Check that nobody else answers on the control socket, unless it is open. Raises AddressInUse."""
        if not self._is_open:
            access.require_free(self.config.control.socket)

    def _of_itself(self) -> protocol.Status:
        """Return a status with what this process knows of itself, and of nothing else."""
        own = None if self._lease is None else self._lease.node
        started_at = to_iso(self.started_at)
        return protocol.Status(
            version=__version__,
            started_at=started_at,
            now=to_iso(self._now()),
            gateway=self.address(),
            mode=UNKNOWN,
            push=protocol.Push(channel=self.config.push.channel),
            objects=[protocol.Object(name=found.name, state=UNKNOWN) for found in self.config.objects],
            node=None
            if own is None
            else protocol.Node(name=own.name, leader=False, leader_name="", epoch=None, since=started_at),
        )

    async def own_metrics(self, request: web.Request) -> web.Response:
        """Answer with the metrics of this node; the leader has those of the mirror."""
        return exposition(self.registry, request)

    def address(self) -> protocol.Gateway:
        """Return where pushes can be sent."""
        if self.gateway is None:
            return protocol.Gateway()
        return protocol.Gateway(
            listen=self.gateway.address, public_url=self.config.gateway.public_url or None
        )
