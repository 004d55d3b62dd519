"""`GET /v1/nodes`: the nodes that share the mirror, on every one of them."""

from __future__ import annotations

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer
from rtsd.store.engine import Lease


class NodesRoute:
    """Answers `/v1/nodes`; without a lease there are none."""

    def __init__(self, lease: Lease | None) -> None:
        self._lease = lease

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/nodes", self._answer)]

    async def _answer(self, _request: web.Request) -> web.Response:
        return answer(await seen_nodes(self._lease))


async def seen_nodes(lease: Lease | None) -> list[protocol.SeenNode]:
    """Return the nodes that are alive; without a lease there are none. Raises StoreError."""
    found = await lease.nodes() if lease is not None else []
    return msgspec.convert(found, list[protocol.SeenNode], from_attributes=True)
