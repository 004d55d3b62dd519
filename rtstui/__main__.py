"""The command `rtstui`: options, a look at the terminal, the dashboard, the exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rtstui.app import RtsTui

NEEDS_A_TERMINAL = (
    "rtstui needs a terminal. For one look use `rtsd status`, for a picture `rtstui --screenshot FILE.svg`."
)
WAIT_S = 5.0
"""Seconds a screenshot waits for the daemon's first word."""


def _version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:  # noqa: FBT001 (click's)
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 (not needed to run)

        click.echo(f"rtstui {version('rts')}")
        context.exit()


def _size(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and 20 <= int(width) <= 500 and 5 <= int(height) <= 200):
        raise click.BadParameter(f"{text!r} is not a size such as 120x35 (20x5 to 500x200).")
    return int(width), int(height)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--socket", "sockets", multiple=True, metavar="PATH", help="rtsd's control socket; repeatable.")
@click.option("--read-only", is_flag=True, help="Only look: no key can make the daemon do anything.")
@click.option("--theme", metavar="NAME", help="rts-dark, rts-light, rts-contrast, or one of Textual's.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal (for its own selecting).")
@click.option("--view", type=click.Choice(list("1234567890")), default="1", help="The view to start with.")
@click.option(
    "--screenshot", type=click.Path(dir_okay=False), metavar="FILE.svg", help="Write a picture, end."
)
@click.option("--size", callback=_size, default="120x35", metavar="WxH", help="The picture's size, in cells.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
def main(
    sockets: tuple[str, ...],
    theme: str | None,
    view: str,
    screenshot: str | None,
    size: tuple[int, int],
    *,
    read_only: bool,
    no_mouse: bool,
) -> None:
    """Watch a running rtsd: live events, objects, quota, errors. `?` inside shows the keys."""
    if screenshot is None and not _is_terminal():
        click.echo(f"Error: {NEEDS_A_TERMINAL}", err=True)
        sys.exit(2)
    app = _app(sockets, theme, view, read_only=read_only)
    if screenshot is not None:
        sys.exit(_picture(app, Path(screenshot), size))
    app.run(mouse=not no_mouse)
    sys.exit(app.return_code or 0)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _app(sockets: tuple[str, ...], theme: str | None, view: str, *, read_only: bool) -> RtsTui:
    """Put the dashboard together; imported late, so that `--version` and mistakes answer at once."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from rtsd.control.client import ControlClient, socket_path  # noqa: PLC0415
    from rtstui.app import RtsTui  # noqa: PLC0415
    from rtstui.connection import Connection  # noqa: PLC0415
    from rtstui.state import State  # noqa: PLC0415

    paths = [socket_path(name) for name in sockets] or [socket_path()]
    states = [State(now=lambda: datetime.now(UTC), socket=str(path)) for path in paths]
    connections = [Connection(ControlClient(path), state) for path, state in zip(paths, states, strict=True)]
    app = RtsTui(connections, read_only=read_only, view=view)
    if theme is not None:
        if theme not in app.available_themes:
            known = ", ".join(sorted(app.available_themes))
            raise click.UsageError(f"There is no theme {theme!r}. There are: {known}.")
        app.theme = theme
    return app


def _picture(app: RtsTui, file: Path, size: tuple[int, int]) -> int:
    """Write one picture and give the exit status: 3 where no daemon answered."""
    picture = asyncio.run(_screenshot(app, size))
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        click.echo(f"Error: {file} cannot be written: {error.strerror}.", err=True)
        return 1
    if not app.state.live:
        link = app.state.link
        click.echo(f"Error: {link.message} {link.do} The picture shows that.", err=True)
        return 3
    return 0


async def _screenshot(app: RtsTui, size: tuple[int, int]) -> str:
    """Run without a terminal until there is something to see."""
    from rtstui.state import Phase  # noqa: PLC0415

    async with app.run_test(size=size) as pilot:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_S
        while app.state.link.phase is Phase.CONNECTING and loop.time() < deadline:
            await pilot.pause(0.05)
        await pilot.pause(0.5)
        return app.export_screenshot(title="rtstui")


if __name__ == "__main__":
    main()
