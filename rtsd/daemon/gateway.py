"""Construction of the gateway, its secrets and its certificate from `[gateway]`.

Not part of `rtsd.config`, as most readers of a configuration open no gateway.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from rtsd.config import Config
from rtsd.config.values import Listen
from rtsd.core.instant import Millis
from rtsd.gateway.meters import Meters
from rtsd.gateway.rejections import Rejections
from rtsd.gateway.server import GatewayDependencies, GatewayServer
from rtsd.gateway.tls import Certificate
from rtsd.store.database import Database
from rtsd.store.inbox import Inbox
from rtsd.sync.catalog import Catalog
from rtsd.sync.evidence import PushEvidence
from rtsd.sync.org import OrgIdentity


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


def gateway_server(
    config: Config,
    keys: Keys,
    *,
    database: Database,
    catalog: Catalog,
    org: OrgIdentity,
    inbox: Inbox,
    evidence: PushEvidence,
    rejections: Rejections,
    meters: Meters,
    now: Callable[[], Millis],
) -> GatewayServer | None:
    """Build the gateway, not yet listening; None if none is configured."""
    if not config.gateway.listen:
        return None
    return GatewayServer(
        GatewayDependencies(
            inbox=inbox,
            secrets=lambda: keys.hmac,
            now=now,
            org_id=lambda: org.id,
            protect=catalog.protect,
            on_push=evidence.add,
            on_rejected=rejections.report,
            on_refused=rejections.count,
            healthy=lambda: database.failure is None and inbox.file.failure is None,
            meters=meters,
        )
    )


async def open_gateway(
    gateway: GatewayServer, listen: Listen, keys: Keys, meters: Meters, sockets: Sequence[socket.socket]
) -> None:
    """Open the gateway, on the inherited `sockets` if there are any. Raises AddressInUse."""
    certificate = keys.certificate
    if certificate is not None:
        meters.certificate.set_function(lambda: certificate.ends_at)
    await gateway.start(listen.host, listen.port, certificate.context if certificate else None, sockets)
