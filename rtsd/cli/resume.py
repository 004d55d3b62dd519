"""`rtsd resume`: apply changes again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask


@click.command(epilog=options.examples("rtsd resume", "rtsd resume Contact"))
@click.argument("objects", nargs=-1, metavar="[OBJECT…]")
@options.socket
@options.as_json
def resume(*, objects: Sequence[str], socket: Path | None, as_json: bool) -> None:
    """Apply changes again.

    Pushes from the time of the pause are applied first. Without OBJECT, everything resumes.
    """
    done = ask(socket, lambda client: client.resume(objects))
    if as_json:
        click.echo(msgspec.json.encode(done))
        return
    click.echo(f"Resumed: {', '.join(objects) or 'everything'}.")
