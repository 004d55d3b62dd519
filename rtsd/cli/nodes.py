"""`rtsd nodes`: the nodes that share a PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

import click

from rtsd.cli import options
from rtsd.cli.ask import ask, ask_raw
from rtsd.cli.output import table
from rtsd.core.node import ALONE, role


@click.command(
    epilog=options.examples("rtsd nodes", "rtsd nodes --json | jq -r '.[] | select(.leader).name'")
)
@options.socket
@options.as_json
def nodes(*, socket: Path | None, as_json: bool) -> None:
    """Show the nodes that share a PostgreSQL database, and which of them leads."""
    if as_json:
        click.echo(ask_raw(socket, "/v1/nodes"))
        return
    found = ask(socket, lambda client: client.nodes())
    if not found:
        click.echo(ALONE)
        return
    rows = [
        (
            node.name,
            role(leader=node.leader, differs=node.differs),
            node.epoch,
            node.since,
            node.seen_at,
            node.refused.count,
            node.refused.reason,
        )
        for node in found
    ]
    click.echo(table(("NODE", "", "EPOCH", "SINCE", "SEEN AT", "REFUSED 24 H", "LAST REASON"), rows))
