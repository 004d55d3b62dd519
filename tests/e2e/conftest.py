"""What several end-to-end tests stand on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import postgres


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a database in a PostgreSQL cluster of one's own."""
    with postgres.cluster() as found:
        yield found
