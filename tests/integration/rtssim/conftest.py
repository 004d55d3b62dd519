"""A small simulated org in this process, a session to call it with, and a gateway that takes its pushes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve
from rtssim.switches import ApiSwitches
from tests.support.rtssim.api import Api, Deploy, Gateway, Login
from tests.support.rtssim.pubsub import BusClient, bus_client, select
from tests.support.serving import served

ROWS = {"Account": 20, "Contact": 60, "Lead": 10, "Opportunity": 5}


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway on a port of its own."""
    taken = Gateway()
    async with served(taken.take, "POST", "/v1/push") as taken.url:
        yield taken


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


@pytest.fixture
async def streaming() -> AsyncIterator[SimulatedOrg]:
    """An org that serves the Pub/Sub API, with sessions of a hundred hours."""
    engine = Org(seed=3, records={"Account": 5, "Contact": 12, "Lead": 3})
    async with serve(engine, switches=ApiSwitches(session_minutes=6_000.0), pubsub=True) as served:
        yield served
    engine.close()


@pytest.fixture
async def streaming_api(streaming: SimulatedOrg) -> Api:
    """Its REST API; Contact is selected for Change Data Capture."""
    form = {
        "grant_type": "client_credentials",
        "client_id": streaming.info["client_id"],
        "client_secret": streaming.info["client_secret"],
    }
    async with streaming.http.post(f"{streaming.url}/services/oauth2/token", data=form) as answer:
        api = Api(streaming, (await answer.json())["access_token"])
    await select(api, "Contact")
    return api


@pytest.fixture
async def bus(streaming: SimulatedOrg, streaming_api: Api) -> AsyncIterator[BusClient]:
    """A client of its bus."""
    async with bus_client(streaming, streaming_api.token) as client:
        yield client
