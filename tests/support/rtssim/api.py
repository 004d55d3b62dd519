"""Calls to a simulated org, and a gateway that takes its pushes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from rtssim.process import SimulatedOrg

WAIT_S = 10.0


@dataclass
class Gateway:
    """Takes pushes, answers with `answers` first and 200 after, and keeps what it got."""

    url: str = ""
    token: str = "token-ü"  # a key is the token's UTF-8 bytes
    pushes: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        """Record one push."""
        body = await request.read()
        async with self._arrived:
            self.pushes.append((request.headers.copy(), body))
            self._arrived.notify_all()
        return web.json_response({"accepted": 1}, status=self.answers.pop(0) if self.answers else 200)

    async def wait(self, count: int) -> list[dict[str, Any]]:
        """Return the bodies once there are `count`."""
        async with asyncio.timeout(WAIT_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.pushes) >= count)
        return [json.loads(body) for _, body in self.pushes]


class Api:
    """REST calls with a session of the sync user."""

    def __init__(self, org: SimulatedOrg, token: str) -> None:
        self._org = org
        self.token = token
        self.base = f"{org.url}/services/data/v62.0"

    async def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> tuple[int, Mapping[str, str], Any]:
        """Return status, headers and body (JSON where it is JSON) of one call."""
        url = self._org.url + path if path.startswith("/services") else self.base + path
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        async with self._org.http.request(method, url, headers=sent, **options) as answer:
            text = await answer.text()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, answer.headers, json.loads(text) if "json" in kind and text else text

    async def get(self, path: str, **options: Any) -> Any:
        """Return the body of a GET that has to succeed."""
        status, _, body = await self.call("GET", path, **options)
        assert status == 200, body
        return body

    async def query(self, soql: str) -> dict[str, Any]:
        """Return the answer of a query."""
        return dict(await self.get("/query", params={"q": soql}))


Login = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]
"""The fixture `login`: ask the token endpoint with a form."""
Deploy = Callable[..., Awaitable[dict[str, Any]]]
"""The fixture `deploy`: deploy a zip, with deployOptions."""
