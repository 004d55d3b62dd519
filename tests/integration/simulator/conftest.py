"""A small simulated org in this process, a session to call it with, and a gateway that takes its pushes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve

ROWS = {"Account": 20, "Contact": 60, "Lead": 10, "Opportunity": 5}
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


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway on a port of its own."""
    taken = Gateway()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/v1/push", taken.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    taken.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield taken
    await runner.cleanup()


@pytest.fixture
async def org() -> AsyncIterator[SimulatedOrg]:
    """A served org with some rows."""
    engine = Org(seed=3, records=ROWS)
    async with serve(engine) as served:
        yield served
    engine.close()


@pytest.fixture
async def pushing(org: SimulatedOrg, gateway: Gateway) -> SimulatedOrg:
    """The org with the package installed and aimed at the gateway; retries come quickly."""
    settings = {"Gateway_URL__c": gateway.url, "Token__c": gateway.token, "Error_Logging__c": True}
    await org.control("package/install", {"settings": settings})
    await org.control("switches", {"push_retry_scale": 0.01})
    return org


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


@pytest.fixture
def login(org: SimulatedOrg) -> Login:
    """Ask the token endpoint with a form; client id and secret are added; gives status and answer."""

    async def ask(**form: str) -> tuple[int, dict[str, Any]]:
        data = {"client_id": org.info["client_id"], "client_secret": org.info["client_secret"], **form}
        async with org.http.post(f"{org.url}/services/oauth2/token", data=data) as answer:
            return answer.status, await answer.json()

    return ask


@pytest.fixture
def with_token(org: SimulatedOrg) -> Callable[[str], Api]:
    """Make a client that uses a token."""
    return lambda token: Api(org, token)


@pytest.fixture
async def api(login: Login, with_token: Callable[[str], Api]) -> Api:
    """A client logged in by client credentials."""
    _, answer = await login(grant_type="client_credentials")
    return with_token(answer["access_token"])


Deploy = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def deploy(api: Api) -> Deploy:
    """Deploy a zip, with deployOptions, and return the final deployResult with its details."""

    async def run(content: bytes, **options: Any) -> dict[str, Any]:
        form = aiohttp.FormData()
        form.add_field("json", json.dumps({"deployOptions": options}), content_type="application/json")
        form.add_field("file", content, filename="deploy.zip", content_type="application/zip")
        status, _, answer = await api.call("POST", "/metadata/deployRequest", data=form)
        assert status == 201
        result = answer["deployResult"]
        assert (result["status"], result["done"]) == ("Pending", False)
        while not result["done"]:
            path = f"/metadata/deployRequest/{answer['id']}?includeDetails=true"
            result = (await api.get(path))["deployResult"]
        return dict(result)

    return run
