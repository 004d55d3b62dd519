"""What the acceptance tests share: the module beside this one, and the patched clock of the daemon."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stand import Stand, standing

Standing = Callable[..., Awaitable[Stand]]
"""Makes an org with a daemon beside it: `await standing({"Lead": 100})`; see stand.standing."""


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


_measured = pytest.StashKey[list[str]]()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note a measurement; it is printed after the run."""
    return request.config.stash.setdefault(_measured, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured."""
    for line in config.stash.get(_measured, []):
        terminalreporter.write_line(f"measured: {line}")
