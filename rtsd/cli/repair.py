"""`rtsd repair`: fetch single records again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.core.ids import full_id
from rtsd.errors import UsageError


@click.command(epilog=options.examples("rtsd repair Contact 003xx000004TmiQAAS 003xx000004TmiR"))
@click.argument("name", metavar="OBJECT")
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@options.socket
@options.as_json
def repair(*, name: str, ids: Sequence[str], socket: Path | None, as_json: bool) -> None:
    """Fetch single records again.

    Whatever the mirror holds of them is replaced by what the org says now, and one that is gone there
    becomes a tombstone. Ids have 15 or 18 characters.
    """
    try:
        records = [full_id(one) for one in ids]
    except ValueError as error:
        raise UsageError(f"{error}.", "Copy it from the record's address in Salesforce.") from None
    answer = ask(socket, lambda client: client.repair(name, records))
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        count = "1 record" if len(records) == 1 else f"{len(records)} records"
        click.echo(f"{count} of {name} will be fetched again; rtsd events --object {name} shows it.")
