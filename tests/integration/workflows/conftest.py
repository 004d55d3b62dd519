"""An org over HTTP, and the place of its mirror."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve
from tests.support.mirror import Mirror, mirror_at


@pytest.fixture
async def org() -> AsyncIterator[SimulatedOrg]:
    """An org with a few contacts and accounts."""
    data = Org(records={"Contact": 120, "Account": 30})
    try:
        async with serve(data) as served:
            yield served
    finally:
        data.close()


@pytest.fixture
def mirror(path: Path) -> Mirror:
    """The mirror that is to be, on the engine of the run; it need not exist."""
    return mirror_at(path)
