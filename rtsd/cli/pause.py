"""`rtsd pause`: stop applying changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask


@click.command(epilog=options.examples("rtsd pause", "rtsd pause Contact Lead"))
@click.argument("objects", nargs=-1, metavar="[OBJECT…]")
@options.socket
@options.as_json
def pause(*, objects: Sequence[str], socket: Path | None, as_json: bool) -> None:
    """Stop applying changes.

    Pushes are still accepted and stored; nothing is lost. Without OBJECT, everything pauses.
    """
    done = ask(socket, lambda client: client.pause(objects))
    if as_json:
        click.echo(msgspec.json.encode(done))
        return
    click.echo(f"Paused: {', '.join(objects) or 'everything'}. rtsd resume ends it.")
