"""The control API: HTTP and JSON on a Unix socket (contract section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from rtsd.control import access

SHUTDOWN_S = 1.0
"""The time that requests under way have when their routes are replaced, or at the end."""


class ControlServer:
    """The listening socket; the routes behind it can be replaced while it listens."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._path: Path | None = None
        self._on_stop: Callable[[], None] = _nothing

    async def serve(self, routes: Iterable[web.RouteDef], on_stop: Callable[[], None] | None = None) -> None:
        """Answer with these routes from now on, and close the connections of those before.

        `on_stop` ends what would hold up their end.
        """
        app = web.Application(middlewares=[access.shaped, access.admitted])
        app.add_routes(routes)
        runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        before, self._runner = self._runner, runner
        self._on_stop()
        self._on_stop = on_stop or _nothing
        if before is not None:
            await before.cleanup()

    async def start(self, path: Path) -> None:
        """Listen at `path`, for the owner and its group. Raises AddressInUse."""
        self._listening = await asyncio.get_running_loop().create_server(
            self._connection, sock=access.listen(path)
        )
        self._path = path

    async def stop(self) -> None:
        """Close the socket and its connections."""
        self._on_stop()
        if self._listening is not None:
            self._listening.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        path, self._path = self._path, None
        if path is not None:
            path.unlink(missing_ok=True)

    def _connection(self) -> access.ControlConnection:
        if self._runner is None or self._runner.server is None:
            raise RuntimeError("the control socket has no routes yet")
        options: dict[str, Any] = {"access_log": None, "logger": access.quiet_logger()}
        return access.ControlConnection(self._runner.server, loop=asyncio.get_running_loop(), **options)


def _nothing() -> None:
    """End nothing."""
