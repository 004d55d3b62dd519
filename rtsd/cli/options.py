"""Options that several verbs share, with the same meaning and help text everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from rtsd import logs
from rtsd.config.values import duration
from rtsd.core.instant import from_iso, to_iso
from rtsd.core.spelling import did_you_mean
from rtsd.machine import wall_ms

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

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


def since(*, required: bool) -> Decorator:
    """The option --since: a moment or an age, passed on as a moment (ISO)."""
    return click.option(
        "--since",
        required=required,
        callback=_moment,
        metavar="TIME",
        help="A moment (ISO 8601), or an age such as 24h or 7d.",
    )


def until(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --until: a moment or an age, passed on as a moment (ISO)."""
    text = "Up to a moment (ISO 8601), or an age such as 1h."
    return click.option("--until", callback=_moment, metavar="TIME", help=text)(command)


def at(what: str) -> Decorator:
    """The option --at: a moment or an age, passed on as a moment (ISO); `what` is there as it was then."""
    return click.option(
        "--at", callback=_moment, metavar="TIME", help=f"{what}: a moment (ISO 8601), or an age such as 24h."
    )


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return to_iso(wall_ms() - duration(text))
    except ValueError:
        pass
    try:
        return to_iso(from_iso(text))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a moment such as 2026-03-01T10:00:00Z nor a duration such as 24h."
        ) from None


def _counts(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    counts = {}
    for value in values:
        name, _, number = value.partition("=")
        if not name or not number.isascii() or not number.isdigit():
            raise click.BadParameter(f"{value!r} is not Object=N, such as Contact=10000")
        counts[name] = int(number)
    if counts:
        _require_known(counts)
    return counts


def _require_known(names: Iterable[str]) -> None:
    from rtssim.schema import crm_objects, setup_objects  # noqa: PLC0415 - not for the help

    known = [found.name for found in (*crm_objects.objects(), *setup_objects.objects())]
    for name in names:
        if name.lower() not in {each.lower() for each in known}:
            raise click.BadParameter(f"the simulated org has no object {name}.{did_you_mean(name, known)}")


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
