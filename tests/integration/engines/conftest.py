"""A PostgreSQL database for tests of what is its own, whichever engine the other tests have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres
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
