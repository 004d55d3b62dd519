"""`rtsd simulate`: a simulated org on HTTP, alone."""

from __future__ import annotations

import asyncio
import json
import signal

import click

from rtsd.cli import options
from rtssim.org import Org
from rtssim.process import listening
from rtssim.server import OrgServer


@click.command(epilog=options.examples("rtsd simulate", "rtsd simulate --port 8080 --records Contact=100000"))
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port on 127.0.0.1; 0 for any free one."
)
@options.records
@click.option("--seed", default=1, help="The same seed gives the same org.")
@click.option("--latency-ms", default=0.0, type=click.FloatRange(0), help="Latency added to every API call.")
@click.option(
    "--heartbeat",
    default=900.0,
    type=click.FloatRange(0.05),
    help="Seconds between the package's heartbeats.",
)
@click.option(
    "--pubsub/--no-pubsub", default=False, help="Serve the Pub/Sub API, too; needs the extra rtsd[stream]."
)
@click.option("--install/--no-install", default=False, help="Install the RTS package at the start.")
def simulate(
    port: int,
    records: dict[str, int],
    seed: int,
    latency_ms: float,
    heartbeat: float,
    *,
    pubsub: bool,
    install: bool,
) -> None:
    """Run a simulated Salesforce org.

    The first line on stdout is JSON with the url and the credentials. `control` in it is a URL that lists
    rows, changes them, and has simulated users work. In place of CONTROL:

    \b
      curl CONTROL/rows/Contact
      curl CONTROL/dml -d '{"object": "Contact", "op": "update",
        "rows": [{"Id": "003…", "Phone": "555-0100"}]}'
      curl CONTROL/activity -d '{"rate": 5}'

    Other values of op are create, which needs no Id, and delete, with {"ids": ["003…"]} in place of rows.
    SIGTERM or Ctrl-C stops it.
    """  # noqa: D301 - click's mark of lines to keep
    try:
        org = Org(seed=seed, records=records or None)
    except (KeyError, ValueError) as problem:
        raise click.BadParameter(str(problem), param_hint="--records") from problem
    try:
        server = OrgServer(org, latency_s=latency_ms / 1000, heartbeat_s=heartbeat)
        asyncio.run(_serve(server, port, pubsub=pubsub, install=install))
    except ImportError as problem:
        raise click.ClickException(f"--pubsub needs the extra rtsd[stream]: {problem}") from problem
    except OSError as problem:
        raise click.ClickException(f"can't listen on 127.0.0.1:{port}: {problem.strerror}") from problem
    finally:
        org.close()


async def _serve(server: OrgServer, port: int, *, pubsub: bool, install: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with listening(server, port, pubsub=pubsub) as info:
        if install:
            server.install_package()
        click.echo(json.dumps(info))
        await stop.wait()
