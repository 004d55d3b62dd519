"""Clients that leave in the middle of an answer: the org logs no error, and ends without a traceback."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import aiohttp
import msgspec
import pytest

from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve
from tests.integration.rtssim.test_bulk_queries import job_of
from tests.integration.rtssim.test_simulate import start
from tests.support.rtssim.api import Api
from tests.support.rtssim.pubsub import TOPIC, bus_client, select
from tests.support.waiting import eventually

MANY = {"Contact": 6_000}
"""12 MB of rows: more than what the buffers of a connection take."""


def answering() -> set[asyncio.Task[Any]]:
    """Return the server's tasks, which live as long as an answer or a connection."""
    return {task for task in asyncio.all_tasks() if "RequestHandler" in repr(task.get_coro())}


async def leave(url: str, token: str = "") -> None:
    """Read an answer's first byte, leave, and wait until the org has noticed."""
    before = answering()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        assert answer.status == 200
        await answer.content.readexactly(1)
        tasks = answering() - before
        answer.close()
    assert tasks
    await eventually(lambda: all(task.done() for task in tasks), "the org has noticed that the client left")


async def test_a_client_leaves_before_the_last_row(caplog: pytest.LogCaptureFixture) -> None:
    """The rows of the switchboard end with their reader."""
    engine = Org(seed=3, records=MANY)
    async with serve(engine) as org:
        await leave(f"{org.info['control']}/rows/Contact")
    engine.close()
    assert not caplog.records


@pytest.mark.parametrize("what", ["answer", "page"])
async def test_a_client_leaves_a_slow_answer(
    org: SimulatedOrg, api: Api, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """A broken answer of a call, or of a Bulk page, ends with its reader."""
    path = "/sobjects"
    if what == "page":
        job = await job_of(api, "SELECT Id FROM Contact")
        path = f"/jobs/query/{job['id']}/results"
    await org.fault("slow", rate=10, count=1, path=path)
    await leave(api.base + path, api.token)
    assert not caplog.records


async def test_an_org_ends_while_rows_are_read() -> None:
    """SIGTERM in the middle of an answer is an end like any other."""
    process, info = await started("--records", "Contact=6000")
    async with aiohttp.ClientSession() as http, http.get(f"{info['control']}/rows/Contact") as answer:
        await answer.content.readexactly(1)
        await ends_silently(process)


async def test_an_org_ends_while_a_client_subscribes() -> None:
    """So is SIGTERM while a stream is open."""
    process, info = await started("--records", "Contact=5", "--pubsub")
    form = {
        "grant_type": "client_credentials",
        "client_id": info["client_id"],
        "client_secret": info["client_secret"],
    }
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{info['url']}/services/oauth2/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        org = SimulatedOrg(info, http)
        await org.control("switches", {"keepalive_s": 0.1})
        await select(Api(org, token), "Contact")
        async with bus_client(org, token) as client:
            stream = await client.subscribe(TOPIC)
            await stream.response()  # a keepalive: it is open
            await ends_silently(process)


async def started(*arguments: str) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    """Start an org; return its process and its first line."""
    process = await start(*arguments)
    assert process.stdout is not None
    return process, msgspec.json.decode(await process.stdout.readline())


async def ends_silently(process: asyncio.subprocess.Process) -> None:
    """Send SIGTERM: the process ends with status 0, and prints nothing."""
    process.send_signal(signal.SIGTERM)
    _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
