"""What tests of every part share: hypothesis profiles, clocks that move when told, a real database."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, settings

from rtsd.store.database import Database
from rtsd.store.inbox import Inbox
from tests.support.clocks import FakeClock
from tests.support.mirror import ENGINE, mirror_at
from tests.support.store import restored

settings.register_profile(
    "fast", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", parent=settings.get_profile("fast"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


gc.set_threshold(50_000, 20, 50)  # thousands of small tests: the default spends a tenth of their time


@pytest.fixture(scope="session", autouse=True)
def costly_keys_are_made_once() -> Iterator[None]:
    """A simulated org's RSA key takes a tenth of a second, and is the same in every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", functools.cache(rsa.generate_private_key))
        yield


@pytest.fixture
def clock() -> FakeClock:
    """A clock of one's own."""
    return FakeClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A real database of one's own."""
    async with await mirror_at(tmp_path / "mirror.db").engine().open() as opened:
        yield opened


@pytest.fixture
async def box(database: Database, tmp_path: Path) -> AsyncIterator[Inbox]:
    """The inbox of that database."""
    box = await restored(database, tmp_path / "mirror.db")
    async with box.file:
        yield box


_cluster = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL, once for all workers, if it is the engine of this run."""
    if ENGINE == "postgres" and not hasattr(config, "workerinput"):
        from tests.support import postgres

        if postgres.binaries() is None:
            pytest.exit(f"skipped: {postgres.MISSING}", returncode=0)
        stack = config.stash[_cluster] = ExitStack()
        os.environ[postgres.URL] = stack.enter_context(postgres.cluster("-F"))  # without fsync: it is faster


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop it."""
    if _cluster in config.stash:
        config.stash[_cluster].close()


@pytest.fixture(autouse=True)
def _logging_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log to the stderr of the test, even if a command that runs in this process configures logging."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    monkeypatch.setattr("rtsd.logs.setup", lambda *_, **__: None)


_measured = pytest.StashKey[list[str]]()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note a measurement; it is printed after the run."""
    return request.config.stash.setdefault(_measured, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured."""
    for line in config.stash.get(_measured, []):
        terminalreporter.write_line(f"measured: {line}")
