"""A scripted org over real HTTP: for error shapes, time-outs and broken downloads one by one."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from rtsd.errors import QuotaExhausted
from rtsd.salesforce import objects
from rtsd.salesforce.client import Client, RetryPolicy, Timeouts
from rtsd.salesforce.credentials import Auth, Credentials
from rtsd.salesforce.objects import Described
from rtsd.salesforce.session import Session
from rtssim.process import SimulatedOrg
from rtssim.server import OrgServer
from tests.support.clocks import ManualClock

Answer = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


def answer(status: int = 200, body: Any = None, **headers: str) -> Answer:
    """An answer with JSON, or with text where `body` is text; `_` in header names stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def make(_request: web.Request) -> web.Response:
        if body is None or isinstance(body, str):
            return web.Response(status=status, text=body, headers=named)
        return web.json_response(body, status=status, headers=named)

    return make


def refused(status: int, code: str, message: str = "", **headers: str) -> Answer:
    """A REST error."""
    return answer(status, [{"errorCode": code, "message": message}], **headers)


def token(name: str = "T1", **more: str) -> dict[str, str]:
    """A token answer; the scripted org adds its own instance_url."""
    return {"access_token": name, "token_type": "Bearer", **more}


@dataclass
class ScriptedOrg:
    """Answers by script: each route's answers in turn, the last one for ever."""

    url: str = ""
    calls: list[web.Request] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    routes: list[tuple[str, re.Pattern[str], list[Answer]]] = field(default_factory=list)

    def on(self, route: str, *answers: Answer) -> None:
        """Serve `METHOD /path` (a regular expression for the whole path) by these answers in turn."""
        method, path = route.split(" ", 1)
        self.routes.insert(0, (method, re.compile(path), list(answers)))

    def logins(self, *tokens: dict[str, str]) -> None:
        """Let the token endpoint answer these in turn."""
        self.on(
            "POST /services/oauth2/token",
            *(answer(200, {"instance_url": self.url, **each}) for each in tokens),
        )

    def paths(self, part: str = "") -> list[str]:
        """The paths called so far that contain `part`."""
        return [call.path for call in self.calls if part in call.path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Find the route and give its next answer."""
        self.calls.append(request)
        self.bodies.append(await request.text())
        for method, path, answers in self.routes:
            if method == request.method and path.fullmatch(request.path):
                made = (answers.pop(0) if len(answers) > 1 else answers[0])(request)
                return await made if isinstance(made, Awaitable) else made
        return web.json_response(
            [{"errorCode": "NOT_FOUND", "message": f"{request.method} {request.path} is not scripted"}],
            status=404,
        )


@dataclass
class RecordingLedger:
    """What was written down; `refuse` names resources that are used up."""

    events: list[tuple[str, str, str]] = field(default_factory=list)
    sent_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    refuse: set[str] = field(default_factory=set)

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Count what is sent next, or refuse it."""
        self.events.append(("spend", purpose, resource))
        if resource in self.refuse:
            raise QuotaExhausted(f"The cap of {resource} is used up.", "It goes on tomorrow.")
        self.sent_by[purpose, resource] += count

    async def record(self, purpose: str, resource: str, count: int) -> None:
        """Count what was drawn already."""
        self.events.append(("record", purpose, resource))
        self.sent_by[purpose, resource] += count

    async def refused(self, purpose: str, resources: Collection[str], _error: QuotaExhausted) -> None:
        """Note that Salesforce itself refused."""
        self.events += [("refused", purpose, resource) for resource in resources]

    def total(self, resource: str) -> int:
        """How many of a resource were counted, whatever for."""
        return sum(count for (_, each), count in self.sent_by.items() if each == resource)


@dataclass
class Pauses:
    """Stands in for waiting: notes how long it would have been."""

    seconds: list[float] = field(default_factory=list)
    real: float = 0.0
    """How long it waits in truth."""

    async def __call__(self, seconds: float) -> None:
        """Let others run, and return at once."""
        self.seconds.append(seconds)
        await asyncio.sleep(self.real)


@dataclass
class Bench:
    """The adapter under test beside a scripted org."""

    org: ScriptedOrg
    ledger: RecordingLedger = field(default_factory=RecordingLedger)
    pauses: Pauses = field(default_factory=Pauses)
    clock: ManualClock = field(default_factory=ManualClock)
    usage: list[tuple[int, int]] = field(default_factory=list)
    offsets: list[tuple[int, int, int]] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def credentials(self, auth: Auth = Auth.CLIENT_CREDENTIALS, **more: Any) -> Credentials:
        """Good credentials for the scripted org."""
        given = {"login_url": self.org.url, "client_id": "the-key", "client_secret": "hush-secret", **more}
        return Credentials(auth, **given)

    def session(self, credentials: Credentials | None = None, timeouts: Timeouts | None = None) -> Session:
        """A session of its own."""
        return Session(credentials or self.credentials(), self.ledger, self.clock, timeouts=timeouts)

    async def client(self, session: Session | None = None, **options: Any) -> Client:
        """An open client; it is closed with the bench."""
        client = Client(
            session or self.session(),
            self.ledger,
            self.clock,
            on_usage=lambda used, most: self.usage.append((used, most)),
            on_server_time=lambda *times: self.offsets.append(times),
            sleep=self.pauses,
            **options,
        )
        return await self.stack.enter_async_context(client)


async def described(client: Client, name: str = "Contact") -> Described:
    """An object as the org describes it; it is there."""
    found = await objects.describe(client, name)
    assert found is not None
    return found


@dataclass
class Desk(Bench):
    """The adapter under test beside a simulated org."""

    sim: SimulatedOrg = field(kw_only=True)

    @property
    def server(self) -> OrgServer:
        """The inside of the org, which is served by this process."""
        assert self.sim.server is not None
        return self.sim.server

    def credentials(self, auth: Auth = Auth.CLIENT_CREDENTIALS, **more: Any) -> Credentials:
        """Good credentials for the simulated org."""
        info = self.sim.info
        given = {name: info[name] for name in ("client_id", "client_secret", "username", "password")}
        keys = {"private_key": info["private_key"], "refresh_token": info["refresh_token"]}
        return Credentials(auth, info["url"], **{**given, **keys, **more})


class Script:
    """Answers, for tests."""

    answer = staticmethod(answer)
    refused = staticmethod(refused)
    token = staticmethod(token)
    retries = RetryPolicy
    timeouts = Timeouts
