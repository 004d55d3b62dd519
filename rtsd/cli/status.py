"""`rtsd status`: everything at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from rtsd.cli import options, subscription
from rtsd.cli.ask import ask, ask_raw
from rtsd.cli.objects import objects_table
from rtsd.cli.output import ago, coloured, in_role
from rtsd.control.protocol import Node, PublishedStream, Status
from rtsd.control.verdict import GLYPHS, cost, fresh, right
from rtsd.core.channel import PACKAGED
from rtsd.core.plural import plural
from rtsd.logs import clean


@click.command(epilog=options.examples("rtsd status", "rtsd status --json | jq -r .mode"))
@options.socket
@options.as_json
def status(*, socket: Path | None, as_json: bool) -> None:
    """Show whether the mirror is right and fresh, what it costs, mode, push, objects and quota."""
    if as_json:
        click.echo(ask_raw(socket, "/v1/status"))
        return
    found = ask(socket, lambda client: client.status())
    for name, value in (*_answers(found), *_facts(found)):
        click.echo(f"{name:<9} {value}")
    click.echo()
    click.echo(objects_table(found))


def _answers(now: Status) -> Iterator[tuple[str, str]]:
    """Yield the three answers, as the dashboard gives them."""
    at = datetime.fromisoformat(now.now)
    for name, verdict in (("right", right(now, at)), ("fresh", fresh(now, at)), ("cost", cost(now, at))):
        sign = in_role(GLYPHS[verdict.role], verdict.role)
        yield name, f"{sign} {clean(' · '.join(verdict.facts))}"


def _facts(now: Status) -> Iterator[tuple[str, str]]:
    yield "org", clean(_org(now))
    reason = f" ({now.mode_reason})" if now.mode_reason else ""
    yield "mode", f"{coloured(now.mode)} since {ago(now.now, now.mode_since)}{clean(reason)}"
    if now.needs_restart:
        tables = ", ".join(now.needs_restart)
        yield "restart", clean(f"due: only that applies the changes in {tables} of the configuration")
    if not now.store.reachable:
        yield from _without_database(now)
        return
    yield from _channel(now)
    proof = f" ({now.push.quiet_proof})" if now.push.quiet_proof else ""
    yield "push", f"last {ago(now.now, now.push.last_at)}, {coloured(now.push.quiet)}{clean(proof)}"
    counts = (
        f"{now.push.received_24h:,} taken, {now.push.rejected_24h:,} refused, {now.push.missed_24h:,} missed"
    )
    yield "24 h", f"{counts}, {plural(now.errors_24h, 'error')}"
    yield "waiting", f"{plural(now.inbox.pending, 'push')}, {plural(now.dead_letters, 'dead letter')}"
    for node in now.nodes:
        if node.refused.reason is not None:
            last = f"last reported {ago(now.now, node.refused.at)}: {node.refused.reason}"
            yield "refused", clean(f"{node.name}: {plural(node.refused.count, 'push')} in 24 h, {last}")
    for stream in now.streams:
        yield "fan-out", clean(_published(stream))
    yield "storage", coloured(clean(now.storage))
    for change in now.privacy:
        yield "privacy", clean(": ".join(part for part in (change.object, change.message) if part))
    for limit in now.quota.limits:
        used = f"{limit.max - limit.remaining:,} of {limit.max:,}, {limit.used_by_us:,} by rtsd"
        yield "quota", f"{clean(limit.name)}: {used}"
    if now.node is not None:
        yield "node", clean(_node(now.node, now.now))
    yield _program(now)


def _without_database(now: Status) -> Iterator[tuple[str, str]]:
    """Yield what is known while the database is away."""
    yield "database", clean(f"away since {now.store.away_since}: {now.store.error}")
    figures = f"those of {ago(now.now, now.store.as_of)}" if now.store.as_of else "not known"
    yield "figures", f"{figures}; the states of objects are unknown"
    if now.gateway.listen is not None:
        yield "gateway", clean(f"{now.gateway.listen}; answers pushes with 503, and the package tries again")
    if now.node is not None:
        yield "node", clean(f"{now.node.name}; who leads is not known")
    yield _program(now)


def _program(now: Status) -> tuple[str, str]:
    return "rtsd", f"{clean(now.version)}, started {ago(now.now, now.started_at)}"


def _node(node: Node, now: str) -> str:
    """Say who leads, and since when."""
    leads = f"leads since {ago(now, node.since)}, epoch {node.epoch}"
    return f"{node.name} {leads}" if node.leader else f"{node.name} stands by; {node.leader_name} {leads}"


def _channel(now: Status) -> Iterator[tuple[str, str]]:
    """Yield how changes arrive: the channel, and what belongs to it."""
    stream = now.push.stream
    yield "channel", clean(subscription.channel(now))
    if stream is not None:
        yield "stream", clean(subscription.connection(now.now, stream))
        last = f"last event {ago(now.now, stream.last_event_at)}, position {subscription.position(stream)}"
        yield "", clean(last)
        yield "", f"deliveries {subscription.delivered(stream)}"
    for sentence in subscription.unpushed(now):
        yield "", clean(sentence)
    if now.push.channel in PACKAGED:
        yield from _package(now)
    if now.gateway.listen is not None:
        public = now.gateway.public_url or "(no public_url)"
        yield "gateway", clean(f"{now.gateway.listen}, posted to as {public}")


def _package(now: Status) -> Iterator[tuple[str, str]]:
    package = " ".join(part for part in (now.package.version, f"seen {_seen(now)}") if part)
    if now.package.next_probe_at is not None:
        package += f", probed again at {now.package.next_probe_at}"
    yield "package", f"{coloured(now.package.state)} {clean(package)}"
    if now.package.relay is not None:
        yield "relay", clean(_relay(now))
    for problem in now.package.problems:
        yield "", clean(f"{problem.what} {problem.do}")


def _published(stream: PublishedStream) -> str:
    """Return how a stream of `[[streams]]` fares."""
    behind = f"{plural(stream.lag, 'entry')} ({stream.lag_s} s) behind" if stream.lag else "nothing waits"
    lost = f", {plural(stream.lost, 'entry')} lost to retention" if stream.lost else ""
    said = f"{stream.name}: {stream.published:,} published, {behind}{lost}"
    return f"{said}; {stream.error}" if stream.error else said


def _org(now: Status) -> str:
    org = now.org
    kind = None if org.sandbox is None else "sandbox" if org.sandbox else "production"
    known = [part for part in (org.name, org.id, kind, org.edition, org.user, org.error) if part]
    return ", ".join(known) or "not known yet"


def _relay(now: Status) -> str:
    relay = now.package.relay
    if relay is None:
        return "not known yet"
    runs = f", runs as {relay.user}" if relay.user else ""
    return f"{relay.status or 'status not known'}{runs}, proven {ago(now.now, relay.proven_at)}"


def _seen(now: Status) -> str:
    return ago(now.now, now.package.last_seen_at)
