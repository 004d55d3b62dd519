"""`POST /v1/query`: SQL on the mirror, read-only, on every node."""

from __future__ import annotations

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import body_of
from rtsd.store.answers import Answers


class QueryRoute:
    """Answers `/v1/query`."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.post("/v1/query", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.QueryBody)
        found = await self._answers.run(body.sql)
        return web.Response(body=found, content_type="application/json")
