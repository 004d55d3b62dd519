"""Requests to a node that stands by, which the leader carries out: through the database that both share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web

from rtsd.control.author import Author, author_of
from rtsd.errors import LeaderAway, NotLeader, StoreError
from rtsd.services import Service
from rtsd.store import requests
from rtsd.store.database import Database
from rtsd.store.engine import Lease
from rtsd.store.requests import Answer, Request

POLL_S = 0.1
"""Seconds between two looks for an answer."""
TAKEN_WITHIN_S = 5.0
"""Seconds within which a leader that is alive begins with a request."""

log = structlog.get_logger("rtsd.control")


class Forwarder:
    """Has the leader carry out requests."""

    def __init__(self, database: Database, lease: Lease, random_bytes: Callable[[int], bytes]) -> None:
        self._database = database
        self._lease = lease
        self._random_bytes = random_bytes

    def routes(self) -> list[web.RouteDef]:
        """Return the route for everything that no other route answers."""
        return [web.route("*", "/{path:.*}", self._forward)]

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        answered = await self.ask(request.method, request.path_qs, body, author_of(request))
        headers = {"Content-Type": answered.content_type} if answered.content_type else None
        return web.Response(body=answered.body, status=answered.status, headers=headers)

    async def ask(self, method: str, path: str, body: bytes = b"", author: Author | None = None) -> Answer:
        """Return the leader's answer, however long it takes; its journal names the author.

        Raises LeaderAway if nobody leads, NotLeader if another node leads before it is answered, StoreError.
        """
        user, program = author or (None, None)
        asked = Request(self._random_bytes(16).hex(), method, path, body, user, program)
        await requests.add(self._database, asked)
        try:
            return await self._answer(asked)
        finally:
            with suppress(StoreError):  # the leader removes it later
                await requests.withdraw(self._database, asked.id)

    async def _answer(self, asked: Request) -> Answer:
        deadline = asyncio.get_running_loop().time() + TAKEN_WITHIN_S
        while True:
            try:
                found = await requests.answer_to(self._database, asked.id)
            except LookupError:
                raise NotLeader(
                    f"another node leads now: {self._lease.leader or 'not known yet'}",
                    "ask again; whether the former leader carried it out is not known",
                ) from None
            if isinstance(found, Answer):
                return found
            if not found and asyncio.get_running_loop().time() > deadline:
                raise LeaderAway(
                    f"node {self._lease.node.name} stands by, and no node that leads answers",
                    "one takes over within 15 s; `rtsd nodes` shows them",
                )
            await asyncio.sleep(POLL_S)


class ForwardedRequests(Service):
    """Carries out, on the node that leads, what the others were asked for: by its own control socket."""

    name = "requests"

    def __init__(self, database: Database, lease: Lease, socket: Path) -> None:
        super().__init__()
        self._database = database
        self._lease = lease
        self._socket = socket
        self._running: set[asyncio.Task[None]] = set()
        self._begun = False

    async def step(self) -> float:
        """Begin with what waits."""
        if not self._begun:
            await requests.void(self._database)
            self._begun = True
        for request in await requests.take(self._database, self._lease.node.epoch or 0):
            task = asyncio.create_task(self._carry_out(request), name=f"request {request.path}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return self._lease.look_every_s

    async def close(self) -> None:
        """End what is under way."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _carry_out(self, request: Request) -> None:
        try:
            answered = await self._answer(request)
        except (aiohttp.ClientError, OSError) as error:
            log.warning("request not carried out", path=request.path, reason=type(error).__name__)
            return
        try:
            await requests.answer(self._database, request.id, answered)
        except StoreError as error:
            log.warning("request not answered", path=request.path, message=str(error))

    async def _answer(self, request: Request) -> Answer:
        timeout = aiohttp.ClientTimeout(total=None)
        url = f"http://rtsd{request.path}"
        headers = Author(request.author, request.program).headers() if request.author else None
        connector = aiohttp.UnixConnector(path=str(self._socket))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(request.method, url, data=request.body, headers=headers) as response,
        ):
            body = await response.read()
            return Answer(response.status, response.headers.get("Content-Type", ""), body)
