"""`rtsd repair`: fetch records again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.estimate import show_price
from rtsd.core.ids import checked_id
from rtsd.core.plural import plural
from rtsd.errors import UsageError


@click.command(
    epilog=options.examples(
        "rtsd repair Contact 003xx000004TmiQAAS 003xx000004TmiR",
        "rtsd repair Contact --since 2026-03-01T10:00:00Z --until 2026-03-01T11:00:00Z --dry-run",
        "rtsd repair Contact --field Email",
    )
)
@click.argument("name", metavar="OBJECT")
@click.argument("ids", nargs=-1, metavar="[ID…]")
@click.option("--since", metavar="TIME", help="Records that either side has stamped since then, ISO 8601.")
@click.option("--until", metavar="TIME", help="With --since: and before then; default now.")
@click.option("--field", "fields", multiple=True, metavar="FIELD", help="This field of every record.")
@click.option("--dry-run", is_flag=True, help="Only show the price.")
@options.socket
@options.as_json
def repair(
    *,
    name: str,
    ids: Sequence[str],
    since: str | None,
    until: str | None,
    fields: Sequence[str],
    dry_run: bool,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Fetch records again.

    By their ids, by the time of their stamps, or some fields of every record. The mirror's values are
    replaced by the org's, and a record that is gone from the org becomes a tombstone. Ids have 15 or 18
    characters. Waits for the end.
    """
    if sum((bool(ids), since is not None, bool(fields))) != 1:
        raise click.UsageError("Name records by ID, or --since a time, or a --field.")
    if until is not None and since is None:
        raise click.UsageError("--until goes with --since.")
    try:
        records = [checked_id(text) for text in ids]
    except ValueError as error:
        raise UsageError(f"{error}.", "Copy it from the record's address in Salesforce.") from None
    if dry_run:
        priced = ask(
            socket,
            lambda client: client.price_repair(name, records, fields=fields, since=since, until=until),
        )
        return show_price(priced, "repair", as_json=as_json)
    done = ask(socket, lambda client: client.repair(name, records, fields=fields, since=since, until=until))
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        summary = f"{plural(done.fetched, 'record')} of {name} fetched, {done.repaired:,} differed"
        click.echo(f"{summary}; {plural(done.api_calls, 'API call')}.")
    return 0
