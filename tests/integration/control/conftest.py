"""A rig's control socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.inprocess.control import Socket
from tests.support.inprocess.rig import Start


@pytest.fixture
async def socket(start: Start) -> AsyncIterator[Socket]:
    """A few contacts, loaded, and the socket."""
    rig = await start({"Contact": 5})
    await rig.load()
    connector = aiohttp.UnixConnector(str(rig.place / "rtsd.sock"))
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Socket(rig, http)
