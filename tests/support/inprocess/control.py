"""Raw HTTP on the control socket of a rig: what `curl --unix-socket` sees."""

from __future__ import annotations

import asyncio
import json
import os
import socket as sockets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from rtsd.control.openapi.operation import NDJSON
from tests.support import openapi
from tests.support.inprocess.rig import Rig


@dataclass
class Followed:
    """The lines of an answer that does not end, each compared with the OpenAPI document."""

    path: str
    content: aiohttp.StreamReader

    async def readline(self) -> bytes:
        """The next line; nothing at the end."""
        line = await self.content.readline()
        openapi.check("GET", self.path, 200, NDJSON, line)
        return line


@dataclass
class Socket:
    """A client of the socket, and the rig behind it; answers are compared with the OpenAPI document."""

    rig: Rig
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a call; `body` is sent as JSON, bytes as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.request(method, f"http://rtsd{path}", data=data) as answer:
            found = await answer.read()
            openapi.check(method, path, answer.status, answer.content_type, found)
            return answer.status, json.loads(found)

    async def lines(self, path: str) -> list[dict[str, Any]]:
        """The NDJSON of an answer that ends."""
        async with self.http.get(f"http://rtsd{path}") as answer:
            assert answer.status == 200
            found = await answer.read()
            openapi.check("GET", path, answer.status, answer.content_type, found)
            return [json.loads(line) for line in found.splitlines()]

    @asynccontextmanager
    async def following(self, path: str) -> AsyncIterator[Followed]:
        """The lines of an answer that does not end."""
        async with self.http.get(f"http://rtsd{path}") as answer:
            assert answer.status == 200
            yield Followed(path, answer.content)


NOBODY = 65_534


async def ask_as(path: Path, request: bytes, *, user: int = NOBODY, group: int = 0) -> bytes:
    """The answer to a request as another user and group; the kernel notes at connect() who that is."""
    connection = sockets.socket(sockets.AF_UNIX)
    os.setegid(group)
    os.seteuid(user)
    try:
        connection.connect(str(path))
    finally:
        os.seteuid(0)
        os.setegid(0)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    with closing(writer):
        writer.write(request)
        return await reader.read()


@contextmanager
def open_to_all(path: Path) -> Iterator[Path]:
    """The same socket where everybody may go, with a mode that lets everybody connect."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        found = Path(directory) / "socket"
        os.link(path, found)
        found.chmod(0o666)
        yield found
