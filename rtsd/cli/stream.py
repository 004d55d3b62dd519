"""`rtsd stream`: the subscription, and the objects selected for Change Data Capture."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from rtsd import config, logs
from rtsd.cli import options, subscription
from rtsd.cli.ask import ask
from rtsd.cli.groups import Group
from rtsd.cli.output import ago, table
from rtsd.control.protocol import Status
from rtsd.core.plural import plural
from rtsd.errors import Conflict
from rtsd.logs import clean

if TYPE_CHECKING:
    from rtsd.workflows.capture import Selection

_EXAMPLES = options.examples(
    "rtsd stream",
    "rtsd stream status --json | jq .connected",
    "rtsd stream enable Contact Lead -c rtsd.toml",
    "rtsd stream disable Lead -c rtsd.toml",
)


@click.group(cls=Group, invoke_without_command=True, epilog=_EXAMPLES)
@options.socket
@options.as_json
@click.pass_context
def stream(ctx: click.Context, *, socket: Path | None, as_json: bool) -> None:
    """Show the subscription; select objects for Change Data Capture.

    A subscription brings the changes with no port open, by [push] channel = "stream" or "cdc". Without a
    verb: status.
    """
    if ctx.invoked_subcommand is None:
        _show(socket, as_json=as_json)


@stream.command(epilog=options.examples("rtsd stream status", "rtsd stream status --json"))
@options.socket
@options.as_json
def status(*, socket: Path | None, as_json: bool) -> None:
    """Show it as the daemon sees it: position, deliveries, and how each object's changes arrive."""
    _show(socket, as_json=as_json)


@stream.command(epilog=options.examples("rtsd stream enable Contact Lead -c rtsd.toml"))
@click.argument("names", nargs=-1, required=True, metavar="OBJECT…")
@options.config
@options.as_json
def enable(*, names: Sequence[str], config_path: Path | None, as_json: bool) -> int:
    """Select objects for Change Data Capture, in the org.

    By Tooling API, as Setup → Change Data Capture does; the user needs Customize Application. Without the
    add-on, five objects of the org may be selected. Exit status 1 when one of them is refused.
    """
    from rtsd.workflows import capture  # noqa: PLC0415 - half a second of imports

    return _said(asyncio.run(capture.enable(_settings(config_path), names)), as_json=as_json)


@stream.command(epilog=options.examples("rtsd stream disable Lead -c rtsd.toml"))
@click.argument("names", nargs=-1, required=True, metavar="OBJECT…")
@options.config
@options.as_json
def disable(*, names: Sequence[str], config_path: Path | None, as_json: bool) -> int:
    """End the selection of objects: Interval Sync reads them. Other subscribers lose their events, too."""
    from rtsd.workflows import capture  # noqa: PLC0415 - the same

    return _said(asyncio.run(capture.disable(_settings(config_path), names)), as_json=as_json)


def _settings(path: Path | None) -> config.Config:
    settings = config.load(path)
    logs.setup("error", "text")
    logs.conceal(secret.reveal() for secret in settings.secrets())
    return settings


def _said(done: Selection, *, as_json: bool) -> int:
    """Print what became of each object; return the exit status."""
    if as_json:
        click.echo(msgspec.json.encode(done.document()))
        return 0 if done.is_done else 1
    for choice in done.objects:
        state = "is selected" if choice.selected else "is not selected"
        already = "" if choice.changed or choice.error else ", as before"
        click.echo(clean(f"{choice.name} {state} for {done.topic}{already}."))
        if choice.error:
            click.echo(clean(f"rtsd: {choice.error}\n      {choice.do}".rstrip()), err=True)
    selected = plural(done.selected_in_org, "object")
    click.echo(f"The org has {selected} selected; {done.free} are free without the add-on.")
    return 0 if done.is_done else 1


def _show(socket: Path | None, *, as_json: bool) -> None:
    found = ask(socket, lambda client: client.status())
    if found.push.stream is None:
        raise Conflict(
            f'There is no subscription: [push] channel is "{found.push.channel}".',
            'Set it to "stream" or "cdc"; `rtsd status` shows the channel.',
        )
    if as_json:
        click.echo(msgspec.json.encode(found.push.stream))
        return
    for name, value in _facts(found):
        click.echo(f"{name:<11} {clean(value)}")
    click.echo()
    rows = [(shown.name, shown.state, shown.arrives_by) for shown in found.objects]
    click.echo(table(("OBJECT", "STATE", "BY"), rows))
    for sentence in subscription.unpushed(found):
        click.echo(f"\n{clean(sentence)}")


def _facts(now: Status) -> list[tuple[str, str]]:
    shown = now.push.stream
    if shown is None:
        return []
    return [
        ("channel", subscription.channel(now)),
        ("stream", subscription.connection(now.now, shown)),
        ("last event", ago(now.now, shown.last_event_at)),
        ("position", subscription.position(shown)),
        ("deliveries", subscription.delivered(shown)),
    ]
