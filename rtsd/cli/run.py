"""`rtsd run`: the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from rtsd import config, logs
from rtsd.cli import options


@click.command(epilog=options.examples("rtsd run", "rtsd run -c ./rtsd.toml --log-level debug"))
@options.config
@options.log_level
@options.log_format
def run(config_path: Path | None, log_level: str, log_format: str) -> None:
    """Run the daemon in the foreground.

    Under systemd it is Type=notify. SIGTERM or Ctrl-C drains and stops it. Log lines go to stderr.
    """
    settings = config.load(config_path)
    logs.setup(log_level, log_format)
    logs.conceal(secret.reveal() for secret in settings.secrets())
    from rtsd.daemon.run import serve  # noqa: PLC0415 - half a second of imports, after mistakes are reported

    asyncio.run(serve(settings))
