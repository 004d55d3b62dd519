"""The mirror for assistants: a server of the Model Context Protocol, in front of a daemon's control socket.

Every tool reads the mirror alone, and the journal has each call before it is answered.
"""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from rtsd import __version__
from rtsd.control.client import ControlClient
from rtsd.control.protocol import AssistantBody
from rtsd.errors import RtsError

INSTRUCTIONS = """A local mirror of chosen objects of a Salesforce org. Begin with `schema`. `query` takes
one read-only SELECT: at most 10,000 rows and 5 seconds. Ids have 18 characters. Before you state a figure,
look at `status`: an object that is not `live` is not proven right. Values may be hashed or missing by
privacy rules."""


async def serve(socket: Path) -> None:
    """Answer an assistant on stdin and stdout until it hangs up."""
    async with ControlClient(socket) as client:
        await server(client).run_stdio_async()


def server(client: ControlClient) -> MCPServer[Any]:
    """Return the server with its tools, in front of one daemon."""
    tools = Tools(client)
    app: MCPServer[Any] = MCPServer(
        "rtsd", instructions=INSTRUCTIONS, version=__version__, log_level="CRITICAL"
    )
    reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    for tool in (
        tools.schema,
        tools.query,
        tools.find,
        tools.history,
        tools.why,
        tools.status,
        tools.estimate,
    ):
        app.tool(annotations=reads, structured_output=False)(tool)
    return app


class Tools:
    """What an assistant can do; the docstrings tell it."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    async def schema(self, name: str | None = None) -> str:
        """Return the mirrored objects with their tables and fields, or one object of that name."""
        return await self._answer(AssistantBody(tool="schema", object=name), self._schema(name))

    async def query(self, sql: str, at: str | None = None) -> str:
        """Return rows of the mirror, by one read-only SELECT; with `at` (ISO 8601), as they were then."""
        return await self._answer(AssistantBody(tool="query", sql=sql), self._client.query(sql, at))

    async def find(self, text: str) -> str:
        """Find records by id, or by a part of a name, an e-mail address or a phone number."""
        return await self._answer(AssistantBody(tool="find"), self._client.find(text))

    async def history(self, name: str, record: str) -> str:
        """Return the past values of a record, by its object's name and its id, and what brought each."""
        body = AssistantBody(tool="history", object=name, id=record)
        return await self._answer(body, self._client.history(name, record))

    async def why(self, name: str, record: str) -> str:
        """Explain a record, by its object's name and its id: its values and everything that touched it."""
        body = AssistantBody(tool="why", object=name, id=record)
        return await self._answer(body, self._client.why(name, record, ask_org=False))

    async def status(self) -> str:
        """Tell whether the mirror is right and fresh, and what it costs: mode, pushes, objects, API calls."""
        return await self._answer(AssistantBody(tool="status"), self._client.status())

    async def estimate(self, name: str) -> str:
        """Price reading an object again in full, in API calls, by the mirror's own size."""
        asked = self._client.price_audit(name, full=True, ask_org=False)
        return await self._answer(AssistantBody(tool="estimate", object=name), asked)

    async def _schema(self, name: str | None) -> object:
        found = await self._client.schema()
        return [each for each in found if name is None or each.object.lower() == name.lower()]

    async def _answer(self, use: AssistantBody, asked: Awaitable[object]) -> str:
        """Have the use journalled, then return the answer as JSON. Raises ToolError with rtsd's advice."""
        try:
            await self._client.assist(use)
            return msgspec.json.encode(await asked).decode()
        except RtsError as error:
            raise ToolError(str(error)) from error
