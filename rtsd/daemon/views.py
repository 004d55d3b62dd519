"""Construction of what status shows."""

from __future__ import annotations

from functools import partial

from rtsd.control.views import Views
from rtsd.daemon.fanout import views
from rtsd.daemon.front import Front
from rtsd.daemon.parts import Base, Channel
from rtsd.daemon.stream import StreamChannel
from rtsd.fanout.fanout import Fanout


def views_of(
    base: Base,
    channel: Channel,
    front: Front,
    stream: StreamChannel | None,
    *,
    fanout: Fanout,
) -> Views:
    """Build the views of status."""
    return Views(
        base.database,
        base.inbox,
        base.catalog,
        base.machine.wall,
        mode=channel.mode,
        schedule=base.schedule,
        reachability=channel.reachability,
        org=base.org,
        push=channel.push,
        missed_pushes=channel.missed_pushes,
        package=channel.package,
        channel=base.config.push.channel,
        uncovered=channel.uncovered,
        ledger=base.ledger,
        gateway=front.address,
        rejected=front.rejections.last_day,
        stream=(lambda: None) if stream is None else lambda: stream.view(base.machine.wall()),
        streams=partial(views, fanout),
        started_at=front.started_at,
        lease=base.engine.lease,
        store=base.store.get,
        privacy=base.privacy,
    )
