"""`rtsd mcp` in front of a daemon, asked by the SDK's own client over stdio."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from mcp import Client, StdioServerParameters

from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS = {"schema", "query", "find", "history", "why", "status", "estimate"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """Contacts whose phone numbers are hashed."""
    async with standing({"Contact": 30}) as made:
        with made.config.open("a") as config:
            config.write('privacy = { Phone = "hash" }\n')  # of the last object
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(rig: Rig) -> Daemon:
    """The daemon, every object of it live."""
    running = await rig.start()
    await running.live()
    return running


@asynccontextmanager
async def assistant(rig: Rig) -> AsyncIterator[Client]:
    """A client that has started `rtsd mcp`."""
    arguments = ["-m", "rtsd", "mcp", "--socket", str(rig.socket)]
    async with Client(StdioServerParameters(command=sys.executable, args=arguments)) as client:
        yield client


async def ask(client: Client, tool: str, **arguments: object) -> Any:
    """The JSON that a tool answers with."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return json.loads(answer.content[0].text)  # type: ignore[union-attr]


async def test_an_assistant_reads_and_spends_nothing(rig: Rig, daemon: Daemon) -> None:
    """Every tool, of which none costs a call; each use is in the journal, without texts of its SQL."""
    before = (await rig.org.stats())["api_calls"]
    async with assistant(rig) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS
        assert all(tool.description and tool.annotations.read_only_hint for tool in tools if tool.annotations)
        (contact,) = await ask(client, "schema", name="contact")
        assert {"name": "Email", "type": "email"} in contact["fields"]
        rows = (
            await ask(
                client, "query", sql="SELECT Id, Email, Phone FROM Contact WHERE Email > '' AND Phone > ''"
            )
        )["rows"]
        record, email, phone = rows[0]
        (found,) = (await ask(client, "find", text=email.upper()))["records"]
        assert {name: found[name] for name in ("object", "id", "field", "value", "state")} == {
            "object": "Contact",
            "id": record,
            "field": "Email",
            "value": email,
            "state": "live",
        }
        assert (await ask(client, "find", text=record[:15]))["records"][0]["id"] == record
        assert (await ask(client, "history", name="Contact", record=record))["id"] == record
        assert (await ask(client, "why", name="Contact", record=record))["org"] is None
        assert {each["name"]: each["state"] for each in (await ask(client, "status"))["objects"]} == {
            "Contact": "live",
        }
        assert (await ask(client, "estimate", name="Contact"))["estimate"]["rows"] == 30
        await ask(client, "query", sql=f"SELECT Id FROM Contact WHERE Email = '{email}'")
    assert len(phone) == 32, "a hash"
    assert (await rig.org.stats())["api_calls"] == before
    used = await daemon.events("assistant")
    assert {str((event.detail or {})["tool"]) for event in used} == TOOLS
    assert (used[-1].detail or {})["sql"] == "SELECT Id FROM Contact WHERE Email = '…'"
    assert {event.id for event in used if event.message == "an assistant used why"} == {record}


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("query", {"sql": "DELETE FROM Contact"}, "use a single SELECT"),
        ("query", {"sql": "SELECT a FROM nowhere"}, "nowhere"),
        ("why", {"name": "Nobody", "record": "003000000000001AAA"}, "mirrored are: Contact"),
        ("find", {"text": "ab"}, "at least 3 characters"),
    ],
)
async def test_a_mistake_is_told_to_the_assistant(
    rig: Rig, daemon: Daemon, tool: str, arguments: dict[str, Any], said: str
) -> None:
    """As rtsd tells it, and the next call is answered."""
    async with assistant(rig) as client:
        answer = await client.call_tool(tool, arguments)
        assert answer.is_error
        assert said in answer.content[0].text  # type: ignore[union-attr]
        assert (await ask(client, "status"))["mode"]
