"""From [gateway] to an open gateway, and what of it can change while it runs.

Not loaded with `rtsd.config` itself: most who read a configuration open no gateway.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from rtsd.config import Config
from rtsd.control import protocol
from rtsd.control.views import Views
from rtsd.core.instant import Millis
from rtsd.gateway.meters import Meters
from rtsd.gateway.rejections import Rejections
from rtsd.gateway.server import GatewayDependencies, GatewayServer
from rtsd.gateway.tls import Certificate
from rtsd.store.inbox import Inbox


class Keys:
    """The HMAC secrets and the TLS pair, as of the last reload."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError when the TLS pair cannot be used."""
        gateway = config.gateway
        self.hmac: Sequence[bytes] = gateway.hmac_keys
        self.certificate = (
            Certificate(gateway.tls_certificate, gateway.tls_private_key) if gateway.tls_certificate else None
        )

    def take_up_pair(self, config: Config) -> None:
        """Take up the TLS pair. Raises ConfigError, and then goes on with the one there is."""
        gateway = config.gateway
        if self.certificate is not None and gateway.tls_certificate is not None:
            self.certificate.load(gateway.tls_certificate, gateway.tls_private_key)


async def open_gateway(
    config: Config,
    shown: Views,
    inbox: Inbox,
    keys: Keys,
    *,
    meters: Meters,
    now: Callable[[], Millis],
    sockets: Sequence[socket.socket],
) -> GatewayServer | None:
    """Open it, on `sockets` where somebody opened them already; None where none is configured.

    Raises AddressInUse.
    """
    listen = config.gateway.listen
    if not listen:
        return None
    engine, controller = shown.engine, shown.controller
    gateway = GatewayServer(
        GatewayDependencies(
            inbox=inbox,
            secrets=lambda: keys.hmac,
            now=now,
            org_id=lambda: engine.org_id,
            protect=engine.catalog.protect,
            on_push=controller.observe_push,
            on_rejected=Rejections(engine, controller, now).count,
            healthy=lambda: engine.database.failure is None,
            meters=meters,
        )
    )
    certificate = keys.certificate
    if certificate is not None:
        meters.certificate.set_function(lambda: certificate.ends_at)
    await gateway.start(listen.host, listen.port, certificate.context if certificate else None, sockets)
    shown.gateway = protocol.Gateway(listen=gateway.address, public_url=config.gateway.public_url or None)
    return gateway
