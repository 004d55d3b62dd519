"""`rtsd quota`: the org's limits, and their use by rtsd and by others."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import table


@click.command(epilog=options.examples("rtsd quota", "rtsd quota --json | jq .calls_24h"))
@options.socket
@options.as_json
def quota(*, socket: Path | None, as_json: bool) -> None:
    """Show the org's limits and who uses them."""
    found = ask(socket, lambda client: client.status()).quota
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    limits = [
        (
            limit.name,
            limit.max,
            limit.remaining,
            limit.used_by_us,
            limit.used_by_others,
            limit.stops_at,
            limit.exhausted_at,
        )
        for limit in found.limits
    ]
    headers = ("LIMIT", "MAX", "REMAINING", "BY RTSD", "BY OTHERS", "RTSD STOPS AT", "EXHAUSTED AT")
    click.echo(table(headers, limits))
    click.echo()
    click.echo(table(("CALLS IN 24 H FOR", "COUNT"), sorted(found.calls_24h.items())))
