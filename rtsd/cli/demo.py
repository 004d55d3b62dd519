"""`rtsd demo`: the simulated org, the daemon and the dashboard together."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Literal, TypeVar

import click

from rtsd import logs
from rtsd.cli import options
from rtsd.config.engine import is_url
from rtsd.errors import UsageError

T = TypeVar("T")


@click.command(
    epilog=options.examples(
        "rtsd demo",
        "rtsd demo --headless --seconds 20",
        "rtsd demo --channel stream",
        "rtsd demo --channel cdc",
        "rtsd demo --headless --records Contact=1000000 --dir ./demo",
        "rtsd demo --store postgresql://rts@localhost/demo",
    )
)
@click.option("--headless", is_flag=True, help="No dashboard: progress lines, and the result as JSON.")
@click.option("--seconds", type=click.FloatRange(min=2), metavar="S", help="Seconds of activity in the org.")
@options.records
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1, max=500),
    default=5.0,
    show_default=True,
    metavar="R",
    help="The org's commits a second.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="D",
    help="The directory for all files; else a temporary one.",
)
@click.option(
    "--channel",
    type=click.Choice(["gateway", "stream", "cdc"]),
    default="gateway",
    show_default=True,
    help="How changes arrive: requests, or a subscription without any listening port: to the package's event,"
    " or to Change Data Capture.",
)
@click.option(
    "--store",
    default="",
    metavar="URL",
    help="A PostgreSQL database without a mirror, for the mirror; else it is a SQLite file.",
)
def demo(
    *,
    headless: bool,
    seconds: float | None,
    records: dict[str, int],
    rate: float,
    directory: Path | None,
    channel: Literal["gateway", "stream", "cdc"],
    store: str,
) -> int:
    """Play the main job: simulated org, daemon and dashboard.

    An org of 50,000 records (or those of --records) is loaded into a mirror; then people work in it,
    records are imported 200 at a time, and for a while its pushes are lost. With --headless the last
    line is JSON: the comparison of mirror and org, field by field, and the effort. Exit status 1 when
    they differ.
    """
    from rtsd.workflows.demo.scenario import RECORDS, Options, run_headless, run_with_dashboard  # noqa: PLC0415 - half a second

    logs.setup("error", "text")
    if store and not is_url(store):
        raise UsageError(
            f"{store} is no URL of PostgreSQL.", 'Write it as "postgresql://user@host:5432/database".'
        )
    chosen = Options(records or RECORDS, rate, seconds, directory, channel, store)
    if headless:
        result = _run(run_headless(chosen, click.echo))
        click.echo(json.dumps(result))
        return 0 if result["equal"] else 1
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):  # before a file is written
        raise UsageError("The dashboard needs a terminal.", "Use rtsd demo --headless here.")
    return _run(run_with_dashboard(chosen, click.echo))


def _run(playing: Coroutine[None, None, T]) -> T:
    """Run to the end; SIGTERM stops it like Ctrl-C, so that no process is left behind."""

    async def stoppable() -> T:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await playing

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
