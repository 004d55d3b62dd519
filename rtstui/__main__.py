"""The command `rtstui`: options, a check of the terminal, the dashboard, the exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from rtsd import __version__
from rtsd.errors import RtsError
from rtstui import PROGRAM

if TYPE_CHECKING:
    from rtstui.app import RtsTui
    from rtstui.daemon_link import DaemonLink
    from rtstui.replay import Replay

NEEDS_A_TERMINAL = (
    "rtstui needs a terminal. For text use `rtsd status`, for a picture `rtstui --screenshot FILE.svg`."
)
DAEMON_STAYS = "rtsd keeps running."
DEMO_ENDS = "The demo ends, and its rtsd and its org with it."
RECORD_HELP = "Record the session to a new file, without values of records; for support."
WAIT_S = 5.0
"""Seconds a screenshot waits for the daemon's first status."""


def _version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:  # noqa: FBT001 (click's)
    if asked:
        click.echo(f"rtstui {__version__}")
        context.exit()


def _size(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and 20 <= int(width) <= 500 and 5 <= int(height) <= 200):
        raise click.BadParameter(f"{text!r} is not a size such as 120x35 (20x5 to 500x200).")
    return int(width), int(height)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
)
@click.option("--socket", "sockets", multiple=True, metavar="PATH", help="rtsd's control socket; repeatable.")
@click.option("--read-only", is_flag=True, help="Show only: no key changes anything.")
@click.option("--theme", metavar="NAME", help="rts-dark, rts-light, rts-contrast, or one of Textual's.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Nothing but ASCII on the screen.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal (for its own selecting).")
@click.option("--fps", type=click.IntRange(1, 10), help="Updates a second at most; 10, over SSH 5.")
@click.option("--view", type=click.Choice(list("1234567890S")), default="1", help="The view to start with.")
@click.option(
    "--screenshot", type=click.Path(dir_okay=False), metavar="FILE.svg", help="Write a picture and exit."
)
@click.option("--preset", metavar="NAME", help="Begin as a preset of your settings says.")
@click.option("--record", type=click.Path(dir_okay=False), metavar="FILE", help=RECORD_HELP)
@click.option("--replay", type=click.Path(dir_okay=False), metavar="FILE", help="Show a recorded session.")
@click.option("--story", metavar="FILE", hidden=True, help="`rtsd demo` tells in it what happens.")
@click.option("--size", callback=_size, default="120x35", metavar="WxH", help="The picture's size, in cells.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
@click.pass_context
def main(
    context: click.Context,
    *,
    sockets: tuple[str, ...],
    theme: str | None,
    fps: int | None,
    view: str,
    screenshot: str | None,
    size: tuple[int, int],
    read_only: bool,
    ascii_only: bool,
    no_mouse: bool,
    preset: str | None,
    record: str | None,
    replay: str | None,
    story: str | None,
) -> None:
    """Watch a running rtsd: live events, objects, quota, errors. `?` inside shows the keys."""
    if context.invoked_subcommand is not None:
        return
    if screenshot is None and not _is_terminal():
        click.echo(f"Error: {NEEDS_A_TERMINAL}", err=True)
        sys.exit(2)
    options = Options(
        sockets,
        theme,
        fps,
        view,
        read_only=read_only,
        ascii_only=ascii_only,
        no_mouse=no_mouse,
        picture=screenshot is not None,
        story=story,
        preset=preset,
        record=record,
        replay=replay,
    )
    try:
        app, mouse = _app(options)
    except (RtsError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if screenshot is not None:
        sys.exit(_picture(app, Path(screenshot), size))
    app.run(mouse=mouse)
    leave(app.return_code or 0)


def leave(status: int) -> NoReturn:
    """Exit with a status; Python would make it 120 if a dead terminal did not take all of the text."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8788, show_default=True, type=click.IntRange(1, 65535))
@click.option("--socket", "sockets", multiple=True, metavar="PATH", help="rtsd's control socket; repeatable.")
@click.option("--read-only", is_flag=True, help="Show only: no key changes anything.")
@click.option("--theme", metavar="NAME", help="As for rtstui itself.")
@click.pass_context
def serve(
    context: click.Context,
    host: str,
    port: int,
    sockets: tuple[str, ...],
    theme: str | None,
    *,
    read_only: bool,
) -> None:
    """Show the dashboard in a browser; it listens on this machine only unless --host says otherwise."""
    from rtstui.serve import serve as run  # noqa: PLC0415

    outer = context.parent.params if context.parent is not None else {}
    arguments = [word for path in (*outer.get("sockets", ()), *sockets) for word in ("--socket", path)]
    if chosen := theme or outer.get("theme"):
        arguments += ["--theme", chosen]
    if read_only or outer.get("read_only"):
        arguments.append("--read-only")
    try:
        run(arguments, host, port)
    except OSError as error:
        click.echo(
            f"Error: it cannot listen on {host}:{port}: {error.strerror or error}. See --port.", err=True
        )
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    sockets: tuple[str, ...]
    theme: str | None
    fps: int | None
    view: str
    read_only: bool
    ascii_only: bool
    no_mouse: bool
    picture: bool
    """True for a picture in place of a terminal."""
    story: str | None
    """The file in which the demo, which ends rtsd with the dashboard, tells what happens."""
    preset: str | None
    record: str | None
    """The file to record the session to."""
    replay: str | None
    """The file of a recorded session to show."""


def _is_terminal() -> bool:
    if "TEXTUAL_DRIVER" in os.environ:
        return True  # a browser is at the other end
    return sys.stdin.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _is_ascii_terminal(options: Options) -> bool:
    """Return True for a terminal without Unicode; browsers and pictures always have it."""
    from rtstui import ascii_filter  # noqa: PLC0415

    if options.picture or "TEXTUAL_DRIVER" in os.environ:
        return False
    return ascii_filter.is_needed(os.environ, utf8_mode=bool(sys.flags.utf8_mode))


def _app(options: Options) -> tuple[RtsTui, bool]:
    """Compose the dashboard; return it, and True if it takes the mouse.

    Everything is imported late, so that `--version` and mistakes need no time.
    """
    from rtstui import settings  # noqa: PLC0415
    from rtstui.app import RtsTui  # noqa: PLC0415
    from rtstui.bindings import bindings  # noqa: PLC0415
    from rtstui.story import Story  # noqa: PLC0415

    own = settings.load(settings.path(), {name: binding.key for name, binding in bindings()})
    if options.preset is not None and options.preset not in own.presets:
        known = ", ".join(own.presets) or "none"
        raise click.UsageError(f"There is no preset {options.preset!r}. There are: {known}.")
    links, replay = _links(options)
    app = RtsTui(
        links,
        read_only=options.read_only or replay is not None,
        view=options.view,
        ascii_only=options.ascii_only or own.ascii or _is_ascii_terminal(options),
        fps=options.fps or own.fps,
        warnings=own.warnings,
        farewell=DEMO_ENDS if options.story else DAEMON_STAYS,
        story=Story(Path(options.story)) if options.story else None,
        replay=replay,
        presets=own.presets,
        begin=options.preset,
    )
    app.set_keymap(own.keys)
    theme = options.theme or own.theme
    if theme is not None and theme not in app.available_themes:
        known = ", ".join(sorted(app.available_themes))
        raise click.UsageError(f"There is no theme {theme!r}. There are: {known}.")
    if theme is not None:
        app.choose_theme(theme)
    return app, own.mouse and not options.no_mouse


def _links(options: Options) -> tuple[list[DaemonLink], Replay | None]:
    """Return the links to the daemons, or to a recording of one, and that recording."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from rtsd.control.client import ControlClient, socket_path  # noqa: PLC0415
    from rtstui.daemon_link import DaemonLink  # noqa: PLC0415
    from rtstui.recording import Recorder, RecordingClient  # noqa: PLC0415
    from rtstui.replay import Replay, ReplayClient  # noqa: PLC0415
    from rtstui.state import State  # noqa: PLC0415

    def now() -> datetime:
        return datetime.now(UTC)

    if options.replay is not None:
        file = Path(options.replay)
        replay = Replay(file)
        state = State(now=replay.now, socket=str(file))
        return [DaemonLink(ReplayClient(file, replay), state)], replay
    paths = [socket_path(name) for name in options.sockets] or [socket_path()]
    recorder = Recorder(Path(options.record), now) if options.record is not None else None
    clients = [
        RecordingClient(path, recorder) if recorder else ControlClient(path, program=PROGRAM)
        for path in paths
    ]
    states = [State(now=now, socket=str(path)) for path in paths]
    return [DaemonLink(client, state) for client, state in zip(clients, states, strict=True)], None


def _picture(app: RtsTui, file: Path, size: tuple[int, int]) -> int:
    """Write a picture and return the exit status: 3 if no daemon answered."""
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
    """Run without a terminal until the daemon answered, or did not in time."""
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
