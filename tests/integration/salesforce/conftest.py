"""The adapter under test beside a scripted org, or beside a simulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from rtssim.org import Org
from rtssim.process import serve
from tests.support.salesforce.bench import Bench, Desk, Script, ScriptedOrg, token
from tests.support.serving import served


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A scripted org that gives a token to everybody, and the adapter's surroundings."""
    org = ScriptedOrg()
    async with served(org.handle) as url, AsyncExitStack() as stack:
        org.url = url
        org.logins(token())
        yield Bench(org, stack=stack)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A simulated org with some contacts, and the adapter's surroundings."""
    org = Org(seed=7, records={"Contact": 900})
    async with serve(org) as sim, AsyncExitStack() as stack:
        yield Desk(ScriptedOrg(), stack=stack, sim=sim)
    org.close()


@pytest.fixture
def script() -> type[Script]:
    """The words of a script."""
    return Script
