"""`rtsd mcp`: the mirror for assistants."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from rtsd.cli import options
from rtsd.control.client import socket_path
from rtsd.core.extras import how_to_add
from rtsd.errors import ConfigError


@click.command(epilog=options.examples("rtsd mcp", "rtsd mcp --socket /run/rtsd/rtsd.sock"))
@options.socket
def mcp(*, socket: Path | None) -> None:
    """Serve the mirror to an assistant, by the Model Context Protocol over stdin and stdout.

    The assistant can read: fields, SQL, search, history, explanations, status, prices. Nothing it does costs
    an API call or changes anything; privacy rules hold, and the journal has every call.
    """
    try:
        from rtsd.workflows.assistant import serve  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(f"rtsd mcp needs the package {error.name}", how_to_add("mcp")) from error
    asyncio.run(serve(socket_path(socket)))
