"""Construction of the gateway, its secrets and its certificate from `[gateway]`.

Not part of `rtsd.config`, as most readers of a configuration open no gateway.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from rtsd.config import Config
from rtsd.config.values import Listen
from rtsd.gateway.meters import Meters
from rtsd.gateway.server import GatewayServer
from rtsd.gateway.tls import Certificate


class Keys:
    """The HMAC secrets and the TLS pair, as of the last reload."""

    def __init__(self, config: Config) -> None:
        """Load the secrets and the TLS pair. Raises ConfigError if the TLS pair is unusable."""
        gateway = config.gateway
        self.hmac: Sequence[bytes] = config.hmac_keys
        self.certificate = (
            Certificate(gateway.tls_certificate, gateway.tls_private_key) if gateway.tls_certificate else None
        )

    def replace_pair(self, config: Config) -> None:
        """Replace the TLS pair. Raises ConfigError and keeps the old pair if the new one is unusable."""
        gateway = config.gateway
        if self.certificate is not None and gateway.tls_certificate is not None:
            self.certificate.load(gateway.tls_certificate, gateway.tls_private_key)


async def open_gateway(
    gateway: GatewayServer, listen: Listen, keys: Keys, meters: Meters, sockets: Sequence[socket.socket]
) -> None:
    """Open the gateway, on the inherited `sockets` if there are any. Raises AddressInUse."""
    certificate = keys.certificate
    if certificate is not None:
        meters.certificate.set_function(lambda: certificate.ends_at)
    await gateway.start(listen.host, listen.port, certificate.context if certificate else None, sockets)
