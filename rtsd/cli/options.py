"""Options that several verbs share, with the same meaning and help text everywhere."""

from __future__ import annotations

from pathlib import Path

import click

from rtsd import logs

config = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration; else $RTSD_CONFIG, /etc/rtsd/rtsd.toml, ~/.config/rtsd/rtsd.toml.",
)
socket = click.option(
    "--socket",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The daemon's control socket; else $RTSD_SOCKET, then the usual places.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
log_level = click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default="info",
    show_default=True,
    help="The lowest level that is logged to stderr.",
)
log_format = click.option(
    "--log-format",
    type=click.Choice(logs.FORMS),
    default="auto",
    show_default=True,
    help="auto: text on a terminal, else JSON.",
)


def _counts(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    counts = {}
    for value in values:
        name, _, number = value.partition("=")
        if not name or not number.isascii() or not number.isdigit():
            raise click.BadParameter(f"{value!r} is not Object=N, such as Contact=10000")
        counts[name] = int(number)
    return counts


records = click.option(
    "--records",
    multiple=True,
    callback=_counts,
    metavar="OBJECT=N",
    help="Rows of the simulated org; repeatable.",
)


def examples(*lines: str) -> str:
    """Return a verb's epilog with examples, unwrapped."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
