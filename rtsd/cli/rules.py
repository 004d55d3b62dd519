"""`rtsd rules`: the rules that changes fire, their deliveries, and dry runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask, ask_raw
from rtsd.cli.output import table
from rtsd.config.values import duration
from rtsd.control.protocol import Rule, Rules, RuleTest
from rtsd.core.instant import from_iso, to_iso
from rtsd.logs import clean

_HEADERS = ("NAME", "OBJECT", "ON", "TARGET", "FIRED", "DELIVERED", "PENDING", "FAILED", "DEAD", "CIRCUIT")


@click.group(
    invoke_without_command=True,
    epilog=options.examples("rtsd rules", "rtsd rules test webinar-sequence --since 7d"),
)
@options.socket
@options.as_json
@click.pass_context
def rules(ctx: click.Context, *, socket: Path | None, as_json: bool) -> None:
    """Show rules and alerts; test a rule against the past.

    Of each it shows how its deliveries fare. Fired, delivered and failed are counted over the last 24 hours.
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
@click.option(
    "--since", required=True, metavar="TIME", help="A moment (ISO 8601), or how long ago, such as 24h or 7d."
)
@options.socket
@options.as_json
def test(*, name: str, since: str, socket: Path | None, as_json: bool) -> None:
    """Say what a rule would have fired, by the journal. Nothing is sent."""
    answer = ask(socket, lambda client: client.test_rule(name, _moment(since)))
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        click.echo("\n".join(_tested(answer)))


def _moment(text: str) -> str:
    """Read a moment, or how long ago it was."""
    try:
        return to_iso(time.time_ns() // 1_000_000 - duration(text))
    except ValueError:
        pass
    try:
        return to_iso(from_iso(text))
    except ValueError:
        message = f"{text!r} is neither a moment such as 2026-03-01T10:00:00Z nor a duration such as 24h."
        raise click.BadParameter(message, param_hint="--since") from None


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
    yield table(_HEADERS, [_row(one) for one in both])
    for one in both:
        if one.error:
            yield clean(f"{one.name} fires nothing: {one.error}")


def _row(one: Rule) -> tuple[str | int | None, ...]:
    counts = (one.fired_24h, one.delivered_24h, one.pending, one.failed_24h, one.dead_letters)
    return (one.name, one.object, " ".join(one.on), one.target, *counts, one.circuit)


def _tested(answer: RuleTest) -> Iterator[str]:
    if answer.entries:
        rows = [(one.at, one.op, one.object, one.id, one.source) for one in answer.entries]
        yield table(("AT", "WHAT", "OBJECT", "RECORD", "SOURCE"), rows)
    share = f"{answer.matched:,} of {answer.considered:,} changes"
    yield f"{answer.rule} would have fired for {share} since {answer.since}."
    if answer.truncated:
        yield "Only the newest are shown or were considered."
