"""What others reach of a process for as long as it runs, whether it leads or stands by."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry, ProcessCollector

from rtsd import systemd
from rtsd.config import Config
from rtsd.control import access, protocol
from rtsd.control.metrics import MetricsListener
from rtsd.control.server import ControlServer
from rtsd.daemon.gateway import Keys, open_gateway
from rtsd.gateway.meters import Meters
from rtsd.gateway.server import GatewayServer
from rtsd.machine import Machine


class Front:
    """The gateway, the control socket and the metrics, with what they show of themselves."""

    def __init__(self, config: Config, machine: Machine) -> None:
        """Load the secrets and the TLS pair. Raises ConfigError."""
        self.config = config
        self.keys = Keys(config)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.meters = Meters(self.registry)
        self.gateway = GatewayServer(self.meters, machine.wall) if config.gateway.listen else None
        self.metrics = MetricsListener() if config.control.metrics else None
        self.control = ControlServer()
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

    def address(self) -> protocol.Gateway:
        """Return where pushes can be sent."""
        if self.gateway is None:
            return protocol.Gateway()
        return protocol.Gateway(
            listen=self.gateway.address, public_url=self.config.gateway.public_url or None
        )
