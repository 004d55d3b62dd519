"""`rtsd conditions`: the fields whose change makes the package push."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.groups import Group
from rtsd.cli.output import table
from rtsd.control.client import ControlClient
from rtsd.control.protocol import Conditions
from rtsd.logs import clean

_ANY = "any field"


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog=options.examples(
        "rtsd conditions",
        "rtsd conditions show Contact --json",
        "rtsd conditions set Contact Email OwnerId",
        "rtsd conditions clear Contact",
    ),
)
@options.socket
@options.as_json
@click.pass_context
def conditions(ctx: click.Context, *, socket: Path | None, as_json: bool) -> None:
    """Show or change the fields whose change makes the package push.

    They are rows of RTS Synced Fields in the org, where an administrator sees and edits them too. Without
    any, every update is pushed; creations and deletions always are. Fingerprints find the changes that
    conditions hold back. Without a verb: show.
    """
    if ctx.invoked_subcommand is None:
        _show(socket, (), as_json=as_json)


@conditions.command(epilog=options.examples("rtsd conditions show", "rtsd conditions show Contact Lead"))
@click.argument("names", nargs=-1, metavar="[OBJECT]…")
@options.socket
@options.as_json
def show(*, names: Sequence[str], socket: Path | None, as_json: bool) -> None:
    """Show them, read in the org now: one API call for each object."""
    _show(socket, names, as_json=as_json)


@conditions.command("set", epilog=options.examples("rtsd conditions set Contact Email OwnerId"))
@click.argument("name", metavar="OBJECT")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD…")
@options.socket
@options.as_json
def set_(*, name: str, fields: Sequence[str], socket: Path | None, as_json: bool) -> None:
    """Make these fields, and no others, the conditions of an object."""
    _change(socket, name, fields, as_json=as_json)


@conditions.command(epilog=options.examples("rtsd conditions clear Contact"))
@click.argument("name", metavar="OBJECT")
@options.socket
@options.as_json
def clear(*, name: str, socket: Path | None, as_json: bool) -> None:
    """Have every update of an object pushed."""
    _change(socket, name, (), as_json=as_json)


def _show(socket: Path | None, names: Sequence[str], *, as_json: bool) -> None:
    async def read(client: ControlClient) -> list[Conditions]:
        wanted = names or [shown.name for shown in (await client.status()).objects]
        return [await client.conditions(name) for name in wanted]

    found = ask(socket, read)
    if as_json:
        click.echo(msgspec.json.encode({"conditions": found}))
        return
    rows = [(each.object, ", ".join(each.fields) or _ANY, each.source, each.as_of) for each in found]
    click.echo(table(("OBJECT", "PUSHED WHEN IT CHANGES", "FROM", "AS OF"), rows))


def _change(socket: Path | None, name: str, fields: Sequence[str], *, as_json: bool) -> None:
    answer = ask(socket, lambda client: client.set_conditions(name, fields))
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        click.echo(clean(f"{answer.object} is pushed {_when(answer.fields)}."))


def _when(fields: Sequence[str]) -> str:
    """Return which changes are pushed."""
    if not fields:
        return "whatever changes"
    named = ", ".join(fields)
    return f"only when {'one of ' if len(fields) > 1 else ''}{named} changes"
