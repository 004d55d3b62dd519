"""Orgs with a daemon each, on the org's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.inprocess.stand import Stand, Standing, standing


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Standing]:
    """Stand up orgs with a daemon each, on the org's clock; everything is stopped at the end."""
    async with AsyncExitStack() as stack:

        async def make(records: dict[str, int], **options: Any) -> Stand:
            return await stack.enter_async_context(standing(tmp_path, records, **options))

        yield make
