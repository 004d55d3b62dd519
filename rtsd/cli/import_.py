"""`rtsd import`: a configuration from what another product exports."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.groups import Group
from rtsd.config import heroku_connect as export
from rtsd.errors import UsageError


@click.group(
    cls=Group,
    name="import",
    epilog=options.examples(
        "rtsd import heroku-connect my-app.json >> rtsd.toml",
        "rtsd import heroku-connect my-app.json --json | jq -r '.objects[].name'",
    ),
)
def import_() -> None:
    """Write a configuration from what another product exports."""


@import_.command(
    "heroku-connect", epilog=options.examples("rtsd import heroku-connect my-app.json >> rtsd.toml")
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@options.as_json
def heroku_connect(*, file: Path, as_json: bool) -> None:
    """Write [[objects]] from a mapping export of Heroku Connect.

    FILE is what `heroku connect:export`, or its dashboard, writes. Objects and their fields are taken over;
    comments say what has no counterpart. Only FILE is read, and nothing is connected to.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(export.MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", "Name a mapping export.") from None
    mapping = export.read(data)
    click.echo(msgspec.json.encode(asdict(mapping)) if as_json else mapping.toml())
