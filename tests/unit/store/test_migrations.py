"""The migrations of each engine."""

from __future__ import annotations

import pytest

from rtsd.store.migrations import Migrations
from rtsd.store.postgres.migrations import MIGRATIONS
from rtsd.store.sqlite.migrations import INBOX, MIRROR


@pytest.mark.parametrize("migrations", [MIRROR, INBOX, MIGRATIONS], ids=["mirror", "inbox", "postgres"])
def test_each_has_a_number_of_its_own(migrations: Migrations) -> None:
    """With two of one number, whoever has the first would never get the second."""
    assert [number for number, _ in migrations.scripts] == list(range(1, migrations.latest + 1))
