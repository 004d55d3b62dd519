"""Raw HTTP on the control socket of a rig: what `curl --unix-socket` sees."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.inprocess.rig import Rig


@dataclass
class Socket:
    """A client of the socket, and the rig behind it."""

    rig: Rig
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a call; `body` is sent as JSON, bytes as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.request(method, f"http://rtsd{path}", data=data) as answer:
            return answer.status, json.loads(await answer.read())

    async def lines(self, path: str) -> list[dict[str, Any]]:
        """The NDJSON of an answer that ends."""
        async with self.http.get(f"http://rtsd{path}") as answer:
            assert answer.status == 200
            return [json.loads(line) for line in (await answer.read()).splitlines()]

    @asynccontextmanager
    async def following(self, path: str) -> AsyncIterator[aiohttp.StreamReader]:
        """The lines of an answer that does not end."""
        async with self.http.get(f"http://rtsd{path}") as answer:
            assert answer.status == 200
            yield answer.content
