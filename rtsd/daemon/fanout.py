"""Construction of the fan-out from `[[streams]]`. nats-py is imported only where there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from rtsd.config import Config
from rtsd.config.values import is_loopback
from rtsd.control import protocol
from rtsd.core.extras import how_to_add
from rtsd.core.instant import MINUTE_MS, Millis
from rtsd.core.nats_credentials import parse
from rtsd.core.problem import Problem
from rtsd.errors import ConfigError, PublishFailed
from rtsd.fanout.fanout import Fanout
from rtsd.fanout.outlet import Link, Outlet, Source, Target

if TYPE_CHECKING:
    from rtsd.daemon.parts import Base

ALERT_AFTER_MS: Millis = MINUTE_MS
"""The time a stream may fail before the alert, as a cluster elects a new leader within seconds."""
SHORTEST_WINDOW_S = 30
"""Seconds in which a stream should know a message again: more than rtsd takes to publish it again."""


def targets(config: Config) -> list[Target]:
    """Return the configured streams."""
    return [
        Target(
            name=section.name or section.stream,
            urls=section.url,
            stream=section.stream,
            credentials=parse(section.credentials.reveal()) if section.credentials else None,
            ca_file=section.ca_file,
            create=section.create,
            replicas=section.replicas,
            from_start=section.begin == "journal",
        )
        for section in config.streams
    ]


def fanout_of(base: Base) -> Fanout:
    """Build the service."""
    source = Source(
        base.database,
        base.work,
        base.machine.wall,
        org_id=lambda: base.org.id,
        objects=[mirrored.name for mirrored in base.catalog],
        connect=_connect,
    )
    fanout = Fanout(source, base.publisher.changed)
    fanout.replace(targets(base.config))
    return fanout


async def _connect(target: Target, org_id: str, objects: Sequence[str]) -> Link:
    from rtsd.fanout import jetstream  # noqa: PLC0415 - an extra

    return await jetstream.connect(target, org_id, objects)


async def views(fanout: Fanout) -> list[protocol.PublishedStream]:
    """Return the streams for status."""
    return [await _view(outlet) for outlet in fanout.outlets]


async def _view(outlet: Outlet) -> protocol.PublishedStream:
    entries, seconds = await outlet.lag()
    target, numbers, error = outlet.target, outlet.numbers, outlet.error
    return protocol.PublishedStream(
        name=target.name,
        stream=target.stream,
        url=list(target.urls),
        connected=outlet.is_connected,
        acknowledged=outlet.position,
        lag=entries,
        lag_s=seconds,
        published=numbers.published,
        cut=numbers.cut,
        failures=numbers.failures,
        lost=numbers.lost,
        error=None if error is None else str(error),
    )


def troubles(fanout: Fanout, now: Millis) -> Iterator[tuple[str, str]]:
    """Yield the streams that have failed for long enough to tell somebody, each with the reason."""
    for outlet in fanout.outlets:
        error, since = outlet.error, outlet.failing_since
        if error is not None and since is not None and now - since >= ALERT_AFTER_MS:
            yield outlet.target.name, f"{outlet.target.name}: {error}"


def require_extra(config: Config) -> None:
    """Raise ConfigError if there are streams, but the package that publishes to them is missing."""
    if config.streams:
        try:
            import nats.js  # noqa: F401, PLC0415 - an extra
        except ImportError as error:
            raise ConfigError(
                f"[[streams]] needs the package {error.name}",
                how_to_add("nats"),
            ) from error


async def problems_of(config: Config, org_id: str, objects: Sequence[str]) -> AsyncIterator[Problem]:
    """Connect to each stream, and yield why rtsd could not publish to it."""
    try:
        require_extra(config)
    except ConfigError as error:
        yield Problem(f"{error.message}.", error.do)
        return
    from rtsd.fanout import jetstream  # noqa: PLC0415 - an extra

    for target in targets(config):
        try:
            connection = await jetstream.connect(target, org_id, objects)
        except PublishFailed as error:
            yield Problem(f"[[streams]] {target.name}: {error.message}.", error.do)
            continue
        window = connection.duplicate_window_s
        await connection.close()
        if window < SHORTEST_WINDOW_S:
            yield Problem(
                f"[[streams]] {target.name}: the stream knows messages again for {window:g} s only, so that"
                " what is published again after a failure is in it twice.",
                f"Edit it: `nats stream edit {target.stream} --dupe-window 2m`.",
            )


def warnings_of(config: Config) -> Iterator[Problem]:
    """Yield what works, and should not stay so."""
    for section in config.streams:
        for url in section.url:
            scheme, _, host = url.partition("://")
            if scheme == "nats" and not is_loopback(host.rpartition(":")[0] or host):
                yield Problem(
                    f"[[streams]] {section.name or section.stream}: {url} may carry values in clear text.",
                    "Write tls://, if the server has a certificate; a private network may do without.",
                )
