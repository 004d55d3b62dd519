"""A request to a running daemon, from a synchronous command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from rtsd.control.client import ControlClient, socket_path

T = TypeVar("T")


def ask(socket: Path | None, question: Callable[[ControlClient], Awaitable[T]]) -> T:
    """Connect to the daemon behind `socket`, else at the usual path, and await `question`.

    Raises the errors of the client, above all DaemonUnreachable.
    """

    async def conversation() -> T:
        async with ControlClient(socket_path(socket)) as client:
            return await question(client)

    return asyncio.run(conversation())


def ask_raw(socket: Path | None, path: str) -> str:
    """Return the document at `path` as the daemon sent it, for `--json`."""
    return ask(socket, lambda client: client.get(path)).decode().rstrip("\n")
