"""Construction of what status shows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rtsd.control.views import Views
from rtsd.daemon.fanout import views
from rtsd.daemon.front import Front
from rtsd.daemon.idle_day import estimated
from rtsd.daemon.parts import Base, Channel
from rtsd.daemon.stream import StreamChannel
from rtsd.fanout.fanout import Fanout
from rtsd.sync.estimate import IdleDay, ObjectSize


def estimated_idle_day(base: Base, rows: Mapping[str, int]) -> IdleDay:
    """Estimate a day without changes, by the schedule in force and the rows that the mirror has."""
    # The bytes of a row make megabytes, not calls.
    sizes = [
        (mirrored, ObjectSize(rows.get(mirrored.name, 0), row_bytes=0.0))
        for mirrored in base.catalog
        if mirrored.table is not None
    ]
    return estimated(base.config, base.schedule(), sizes)


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
        idle_day=partial(estimated_idle_day, base),
        privacy=base.privacy,
    )
