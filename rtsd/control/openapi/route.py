"""`GET /v1/openapi.json`: the description of the control API, the same from every node."""

from __future__ import annotations

from functools import cache

import msgspec
from aiohttp import web

from rtsd.control.openapi.document import document


class OpenApiRoute:
    """Answers `/v1/openapi.json`."""

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/openapi.json", self._answer)]

    async def _answer(self, _request: web.Request) -> web.Response:
        return web.Response(body=encoded(), content_type="application/json")


@cache
def encoded() -> bytes:
    """Return the document as JSON."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1)
