"""`rtsd errors`: the error log."""

from __future__ import annotations

from pathlib import Path

import click

from rtsd.cli import options
from rtsd.cli.ask import ask, ask_raw
from rtsd.cli.output import table


@click.command(epilog=options.examples("rtsd errors", "rtsd errors --json | jq '.errors[0]'"))
@options.socket
@options.as_json
def errors(*, socket: Path | None, as_json: bool) -> None:
    """Show the error log.

    The newest come last, as in rtsd events; repetitions of an error are a single line with a count.
    """
    if as_json:
        click.echo(ask_raw(socket, "/v1/errors"))
        return
    found = ask(socket, lambda client: client.errors())
    if not found:
        click.echo("No errors.")
        return
    rows = [(entry.at, entry.error, entry.object, entry.count, entry.message) for entry in found[::-1]]
    click.echo(table(("AT", "ERROR", "OBJECT", "TIMES", "MESSAGE"), rows))
