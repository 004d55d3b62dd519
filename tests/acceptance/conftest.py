"""Orgs with a daemon each, on the org's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.inprocess.stand import Stand, Standing, standing


@pytest.fixture
async def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Standing]:
    """Stand up orgs with a daemon each, on the org's clock; everything is stopped at the end."""
    async with AsyncExitStack() as stack:

        async def make(records: dict[str, int], **options: Any) -> Stand:
            one = await stack.enter_async_context(standing(tmp_path, records, **options))
            monkeypatch.setattr("rtsd.daemon.wall_ms", one.now)
            monkeypatch.setattr("rtsd.daemon.monotonic_ms", one.now)
            return one

        yield make
