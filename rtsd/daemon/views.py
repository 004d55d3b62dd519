"""Construction of what status shows."""

from __future__ import annotations

from rtsd.control import protocol
from rtsd.control.views import Views
from rtsd.daemon.parts import Base, Channel
from rtsd.daemon.stream import StreamChannel
from rtsd.gateway.rejections import Rejections
from rtsd.gateway.server import GatewayServer


def views_of(
    base: Base,
    channel: Channel,
    gateway: GatewayServer | None,
    rejections: Rejections,
    stream: StreamChannel | None,
) -> Views:
    """Build the views of status."""

    def address() -> protocol.Gateway:
        if gateway is None:
            return protocol.Gateway()
        return protocol.Gateway(listen=gateway.address, public_url=base.config.gateway.public_url or None)

    return Views(
        base.database,
        base.inbox,
        base.catalog,
        base.machine.wall,
        mode=channel.mode,
        reachability=channel.reachability,
        org=base.org,
        push=channel.push,
        missed_pushes=channel.missed_pushes,
        package=channel.package,
        channel=base.config.push.channel,
        uncovered=channel.uncovered,
        ledger=base.ledger,
        gateway=address,
        rejected=rejections.last_day,
        stream=(lambda: None) if stream is None else lambda: stream.view(base.machine.wall()),
        started_at=base.machine.wall(),
        lease=base.engine.lease,
        privacy=base.privacy,
    )
