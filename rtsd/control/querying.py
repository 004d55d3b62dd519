"""`POST /v1/query`: SQL on the mirror, read-only, on every node; as it is, or as it was at a moment."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import body_of, past_moment
from rtsd.core.instant import Millis
from rtsd.store import past_query
from rtsd.store.answers import Answers
from rtsd.store.database import Database


class QueryRoute:
    """Answers `/v1/query`."""

    def __init__(self, answers: Answers, database: Database, now: Callable[[], Millis]) -> None:
        self._answers = answers
        self._database = database
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.post("/v1/query", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.QueryBody)
        relations = None
        if body.at is not msgspec.UNSET:
            at = past_moment(body.at, self._now())
            relations = await past_query.relations(self._database, body.sql, at)
        found = await self._answers.run(body.sql, relations)
        return web.Response(body=found, content_type="application/json")
