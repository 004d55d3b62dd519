"""A PostgreSQL database for tests of what is its own, whichever engine the other tests have."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import mirror, postgres
from tests.support.inprocess.stand import Stand, Standing, standing
from tests.support.postgres import PostgresMirror


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a database of a cluster: the run's, or one for these tests."""
    if postgres.binaries() is None:
        pytest.skip(postgres.MISSING)
    if postgres.URL in os.environ:
        yield os.environ[postgres.URL]
        return
    with postgres.cluster("-F") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv(postgres.URL, url)
        yield url


@pytest.fixture
def place(server: str, tmp_path: Path) -> PostgresMirror:
    """Two schemas of one's own."""
    assert server
    return PostgresMirror(tmp_path / "mirror.db")


@pytest.fixture
async def stand(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Standing]:
    """Stand up an org with a daemon whose mirror is in PostgreSQL, whichever engine this run has."""
    monkeypatch.setattr(mirror, "ENGINE", "postgres")
    async with AsyncExitStack() as stack:

        async def make(records: dict[str, int], **options: Any) -> Stand:
            return await stack.enter_async_context(standing(tmp_path, records, **options))

        yield make
