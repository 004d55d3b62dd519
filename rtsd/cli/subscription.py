"""What the verbs say of the push channel: its subscription, and what Interval Sync reads beside it."""

from __future__ import annotations

from collections.abc import Iterator

from rtsd.cli.output import ago, span
from rtsd.control.protocol import Status, Stream
from rtsd.core.channel import KEPT_S, OLD_S, channel_name, deliveries, why_unpushed


def connection(now: str, stream: Stream) -> str:
    """Return whether it is connected, since when, and why not."""
    state = "connected" if stream.connected else "not connected" if stream.error else "not connected yet"
    since = f" for {ago(now, stream.since).removesuffix(' ago')}" if stream.since else ""
    return f"{state}{since}" + (f": {stream.error}" if stream.error else "")


def position(stream: Stream) -> str:
    """Return the age of the position to resume from, and what to fear of it."""
    age = stream.replay_age_s
    if age is None:
        return "not known yet"
    kept = f"{KEPT_S // 3_600} h"
    fear = (
        f"; Salesforce keeps events for {kept} only: what is missed is read by Interval Sync"
        if age >= KEPT_S
        else f"; Salesforce keeps events for {kept}"
        if age >= OLD_S
        else ""
    )
    return f"{span(age * 1000)} old{fear}"


def delivered(stream: Stream) -> str:
    """Return the event deliveries of 24 hours."""
    counts = deliveries(stream.deliveries_ours_24h, stream.deliveries_24h, stream.deliveries_max)
    return f"{counts} (24 hours)"


def unpushed(now: Status) -> Iterator[str]:
    """Yield a sentence on the objects that Interval Sync reads while the channel brings others."""
    names = [shown.name for shown in now.objects if shown.arrives_by == "interval"]
    if now.mode == "real_time" and names:
        reads = f"Interval Sync reads {', '.join(names)}"
        yield f"{reads}: {why_unpushed(now.push.channel)}."


def channel(now: Status) -> str:
    """Return the channel's name; of a subscription its topic, too."""
    push = now.push
    if not push.channel:
        return "none: Interval Sync reads the changes"
    topic = f", {push.stream.topic}" if push.stream else ""
    return f"{channel_name(push.channel).removeprefix('the ')}{topic}"
