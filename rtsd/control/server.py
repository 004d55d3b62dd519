"""The control API: HTTP and JSON on a Unix socket (contract section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from rtsd.control import access, protocol
from rtsd.control.backup import Backups
from rtsd.control.documents import answer
from rtsd.errors import ConfigError, RtsError


class ControlServer:
    """The listening socket and the routes behind it."""

    def __init__(
        self,
        routes: Iterable[web.RouteDef],
        backups: Backups,
        reload: Callable[[], protocol.Reloaded],
        report: Callable[[RtsError], Awaitable[None]],
    ) -> None:
        self._report = report
        self._routes = [*routes, *backups.routes(), web.post("/v1/reload", self._reload)]
        self._backups = backups
        self._reload_configuration = reload
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._path: Path | None = None

    async def start(self, path: Path) -> None:
        """Listen at `path`, for the owner and its group. Raises AddressInUse."""
        app = web.Application(middlewares=[access.shaped, access.admitted])
        app.add_routes(self._routes)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        server, loop = self._runner.server, asyncio.get_running_loop()
        if server is None:
            raise RuntimeError("the runner has no server after its setup")
        options: dict[str, Any] = {"loop": loop, "access_log": None, "logger": access.quiet_logger()}
        self._listening = await loop.create_server(
            lambda: access.ControlConnection(server, **options), sock=access.listen(path)
        )
        self._path = path

    async def stop(self) -> None:
        """Close the socket and its connections."""
        self._backups.stop()
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def _reload(self, _request: web.Request) -> web.Response:
        """Reload, and journal what kept the configuration from being used."""
        try:
            return answer(self._reload_configuration())
        except ConfigError as error:
            mistakes = "; ".join(error.mistakes)
            await self._report(ConfigError(f"not reloaded: {error.message} {mistakes}".strip(), error.do))
            raise
