"""`POST /v1/reload`: reads the configuration again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer
from rtsd.errors import ConfigError, RtsError


class ReloadRoute:
    """Answers `/v1/reload`."""

    def __init__(
        self, reload: Callable[[], protocol.Reloaded], report: Callable[[RtsError], Awaitable[None]]
    ) -> None:
        self._reload = reload
        self._report = report

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.post("/v1/reload", self._answer)]

    async def _answer(self, _request: web.Request) -> web.Response:
        """Reload, and report what kept the configuration from being used."""
        try:
            return answer(self._reload())
        except ConfigError as error:
            mistakes = "; ".join(error.mistakes)
            await self._report(ConfigError(f"not reloaded: {error.message} {mistakes}".strip(), error.do))
            raise
