"""`rtsd find`: records by a part of a name, an address or a phone number."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import table
from rtsd.core.plural import plural


@click.command(epilog=options.examples("rtsd find ada@example.com", "rtsd find lovelace --json"))
@click.argument("text")
@options.socket
@options.as_json
def find(*, text: str, socket: Path | None, as_json: bool) -> int:
    """Find records by id, or by a part of a name, an e-mail address or a phone number.

    In the mirror alone: no API call is made. Exits with 1 if nothing is found. Hashed and dropped values
    cannot be found.
    """
    found = ask(socket, lambda client: client.find(text))
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif found.records:
        rows = [(each.object, each.id, each.field, str(each.value)) for each in found.records]
        click.echo(table(("OBJECT", "RECORD", "FIELD", "VALUE"), rows))
        if found.truncated:
            click.echo(f"Only the first {plural(len(rows), 'record')} are shown: write more of it.", err=True)
    else:
        click.echo("Nothing is found.", err=True)
    return int(not found.records)
