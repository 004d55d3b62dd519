"""`rtsd pause`: stop applying changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from rtsd.cli import options
from rtsd.cli.ask import ask


@click.command(epilog=options.examples("rtsd pause", "rtsd pause Contact Lead"))
@click.argument("objects", nargs=-1, metavar="[OBJECT…]")
@options.socket
def pause(*, objects: Sequence[str], socket: Path | None) -> None:
    """Stop applying changes.

    Pushes are still accepted and stored; nothing is lost. Without OBJECT, everything pauses.
    """
    ask(socket, lambda client: client.pause(objects))
    click.echo(f"Paused: {', '.join(objects) or 'everything'}. rtsd resume ends it.")
