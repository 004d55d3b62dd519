"""Rigs that publish to a NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rtsd.fanout.outlet import Outlet
from tests.support import nats
from tests.support.inprocess.rig import Rig, Start
from tests.support.nats import Message, Server


@dataclass
class Publishing:
    """A rig, and the server that its outlets publish to."""

    rig: Rig
    server: Server

    @property
    def outlet(self) -> Outlet:
        """The first stream."""
        return self.rig.parts.services.fanout.outlets[0]

    async def publish(self) -> None:
        """Publish all there is. Raises what the outlet says is wrong."""
        while not await self.outlet.turn():
            pass
        if self.outlet.error is not None:
            raise self.outlet.error

    async def settle(self) -> list[Message]:
        """Apply what was pushed, publish it, and return what is in the stream."""
        await self.rig.settle()
        await self.publish()
        return await self.server.messages()

    async def rename(self, record_id: str, name: str) -> None:
        """Give a contact another name, and apply the push."""
        await self.rig.dml("update", "Contact", rows=[{"Id": record_id, "LastName": name}])
        await self.rig.settle()

    async def close(self) -> None:
        """Close the connections."""
        await self.rig.parts.services.fanout.close()


Publish = Callable[..., Awaitable[Publishing]]


def section(url: str, more: str = "") -> str:
    """TOML of a stream."""
    return f'[[streams]]\nurl = "{url}"\nstream = "{nats.STREAM}"\n{more}\n'


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A NATS server."""
    async with nats.server() as made:
        yield made


@pytest.fixture
async def publishing(start: Start, server: Server) -> AsyncIterator[Publish]:
    """Makes rigs of a few contacts, loaded, with the package installed, that publish."""
    made: list[Publishing] = []

    async def make(
        more: str = 'begin = "journal"', *, add: bool = True, objects: tuple[str, ...] = (), **config: Any
    ) -> Publishing:
        if add:
            await server.add(**config)
        rig = await start({"Contact": 3, "Lead": 0}, more=section(server.url, more), objects=objects)
        await rig.load()
        await rig.install_package()
        made.append(Publishing(rig, server))
        return made[-1]

    yield make
    for each in made:
        await each.close()
