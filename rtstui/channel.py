"""How changes arrive, in words: the push channel, its subscription, what Interval Sync reads beside it."""

from __future__ import annotations

from datetime import datetime

from rtsd.control.protocol import Object, Status, Stream
from rtsd.control.verdict import is_down
from rtsd.core.channel import CDC, KEPT_S, OLD_S, channel_name, deliveries, why_unpushed
from rtsd.core.figures import age, day_clock, span
from rtstui.format import shortened
from rtstui.rows import Row, Span

LONGEST_ERROR = 50
"""Cells of an error in a notice of two lines."""


def notice(status: Status, now: datetime) -> str:
    """Return what an operator has to know of a subscription that is away; empty if it is not."""
    stream = status.push.stream
    if stream is None or not is_down(status, now):
        return ""
    name = channel_name(status.push.channel)
    since = f" since {day_clock(stream.since, now)}" if stream.since else ""
    return (
        f"▲ {name[:1].upper()}{name[1:]} is not connected{since}: "
        f"{shortened(stream.error or '', LONGEST_ERROR)} Interval Sync reads the changes."
    )


def without_conditions(status: Status | None) -> str:
    """Return why the channel has no sync conditions, and no package to switch off; empty if it has."""
    by = status.push.channel if status else None
    if by == CDC:
        return "Change Data Capture has no sync conditions: every change of a selected object comes."
    return "Nothing pushes: there are no sync conditions." if by == "" else ""


def is_left_out(status: Status, item: Object) -> bool:
    """Return True if Interval Sync reads an object while the channel brings others."""
    return status.mode == "real_time" and item.arrives_by == "interval"


def left_out(status: Status) -> int:
    """Return the number of objects that Interval Sync reads while the channel brings others."""
    return sum(is_left_out(status, item) for item in status.objects)


def arrives_by(status: Status, item: Object) -> Span:
    """Return by what an object's changes arrive now, and why not by the channel."""
    if is_left_out(status, item):
        return f"Interval Sync ({why_unpushed(status.push.channel)})", "warn"
    return (channel_name(status.push.channel) if item.arrives_by == "push" else "Interval Sync"), ""


def subscription(stream: Stream, now: datetime) -> list[Row]:
    """Return the subscription's state in three lines: connection, position, deliveries."""
    used = deliveries(stream.deliveries_ours_24h, stream.deliveries_24h, stream.deliveries_max)
    return [
        _connection(stream, now),
        (
            (f"last event {_ago(stream.last_event_at, now)}  ", ""),
            _position(stream),
        ),
        ((f"deliveries in 24 h: {used}", ""),),
    ]


def _connection(stream: Stream, now: datetime) -> Row:
    since = f" since {day_clock(stream.since, now)}" if stream.since else ""
    if stream.connected:
        return ((f"● connected{since}", "ok"),)
    if stream.error:
        return ((f"▲ not connected{since}: {stream.error}", "warn"),)
    return (("◌ waits for the first response", "busy"),)


def _position(stream: Stream) -> Span:
    if stream.replay_age_s is None:
        return "position not known yet", "dim"
    old = span(stream.replay_age_s)
    if stream.replay_age_s >= KEPT_S:
        return f"▲ position {old} old: Salesforce has dropped what follows it", "warn"
    if stream.replay_age_s >= OLD_S:
        return f"▲ position {old} old: Salesforce keeps {KEPT_S // 3_600} h", "warn"
    return f"position {old} old", ""


def _ago(at: str | None, now: datetime) -> str:
    return f"{age(at, now)} ago" if at else "none yet"
