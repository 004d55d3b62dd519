"""An org, and the configuration of an rtsd that does not run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rtssim.org import Org
from rtssim.process import serve
from tests.support.installation import Office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A Developer Edition org with a few contacts."""
    org = Org(seed=5, records={"Contact": 5})
    async with serve(org) as sim:
        yield Office(sim, org, tmp_path)
    org.close()
