"""`rtsd resume`: apply changes again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from rtsd.cli import options
from rtsd.cli.ask import ask


@click.command(epilog=options.examples("rtsd resume", "rtsd resume Contact"))
@click.argument("objects", nargs=-1, metavar="[OBJECT…]")
@options.socket
def resume(*, objects: Sequence[str], socket: Path | None) -> None:
    """Apply changes again.

    Pushes from the time of the pause are applied first. Without OBJECT, everything resumes.
    """
    ask(socket, lambda client: client.resume(objects))
    click.echo(f"Resumed: {', '.join(objects) or 'everything'}.")
