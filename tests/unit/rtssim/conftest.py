"""Orgs on a clock frozen at 2026-03-01 10:00 UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtssim.org import Clock, Commit, Org
from tests.support.rtssim.rows import NOW, SMALL

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def org() -> Iterator[Org]:
    """An org without CRM rows."""
    made = Org(records={}, clock=Clock(NOW, speed=0))
    yield made
    made.close()


@pytest.fixture(scope="session")
def crm() -> Iterator[Org]:
    """A filled org that no test may change."""
    made = Org(records=SMALL, clock=Clock(NOW, speed=0))
    yield made
    made.close()


@pytest.fixture
def commits(org: Org) -> list[Commit]:
    """Every commit of `org` from now on."""
    seen: list[Commit] = []
    org.on_commit(seen.append)
    return seen
