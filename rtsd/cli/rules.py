"""`rtsd rules`: rules and alerts, their deliveries, and the test of a rule against the past."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask, ask_raw
from rtsd.cli.groups import Group
from rtsd.cli.output import table
from rtsd.control.protocol import Rules, RuleStatus, RuleTest
from rtsd.core.plural import plural
from rtsd.logs import clean

_HEADERS = ("NAME", "OBJECT", "ON", "TARGET", "FIRED", "DELIVERED", "PENDING", "FAILED", "DEAD", "CIRCUIT")


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog=options.examples("rtsd rules", "rtsd rules test webinar-sequence --since 7d"),
)
@options.socket
@options.as_json
@click.pass_context
def rules(ctx: click.Context, *, socket: Path | None, as_json: bool) -> None:
    """Show rules and alerts; test a rule against the past.

    Each comes with its deliveries. Fired, delivered and failed are counted over the last 24 hours.
    """
    if ctx.invoked_subcommand is None:
        _list(socket, as_json=as_json)


@rules.command("list", epilog=options.examples("rtsd rules list --json"))
@options.socket
@options.as_json
def list_all(*, socket: Path | None, as_json: bool) -> None:
    """List rules and alerts."""
    _list(socket, as_json=as_json)


@rules.command(epilog=options.examples("rtsd rules test webinar-sequence --since 2026-03-01T10:00:00Z"))
@click.argument("name")
@options.since(required=True)
@options.socket
@options.as_json
def test(*, name: str, since: str, socket: Path | None, as_json: bool) -> None:
    """Show the changes that would have fired a rule, by the journal. Nothing is sent."""
    answer = ask(socket, lambda client: client.test_rule(name, since))
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        click.echo("\n".join(_tested(answer)))


def _list(socket: Path | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(ask_raw(socket, "/v1/rules"))
        return
    found = ask(socket, lambda client: client.rules())
    click.echo("\n".join(_listed(found)))


def _listed(found: Rules) -> Iterator[str]:
    both = [*found.rules, *found.alerts]
    if not both:
        yield "No rules and no alerts are configured."
        return
    yield table(_HEADERS, [_row(rule) for rule in both])
    for rule in both:
        if rule.error:
            yield clean(f"{rule.name} fires nothing: {rule.error}")


def _row(rule: RuleStatus) -> tuple[str | int | None, ...]:
    counts = (rule.fired_24h, rule.delivered_24h, rule.pending, rule.failed_24h, rule.dead_letters)
    return (rule.name, rule.object, " ".join(rule.on), rule.target, *counts, rule.circuit)


def _tested(answer: RuleTest) -> Iterator[str]:
    if answer.entries:
        rows = [(entry.at, entry.op, entry.object, entry.id, entry.source) for entry in answer.entries]
        yield table(("AT", "WHAT", "OBJECT", "RECORD", "SOURCE"), rows)
    share = f"{answer.matched:,} of {plural(answer.considered, 'change')}"
    yield f"{answer.rule} would have fired for {share} since {answer.since}."
    if answer.truncated:
        yield "Only the newest are shown or were considered."
