"""The dashboard on a fake daemon, with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from rtstui.app import RtsTui
from tests.support.dashboard.app import running, until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import dead_letters, error_log, events, live


@asynccontextmanager
async def watching(socket: Path, **options: Any) -> AsyncIterator[tuple[RtsTui, Pilot[int], FakeDaemon]]:
    """The dashboard, live on a fake daemon with errors and dead letters."""
    async with FakeDaemon(socket, live(), events(1, 400)) as daemon:
        daemon.errors, daemon.letters = error_log(), dead_letters()
        async with running(socket, **options) as (app, pilot):
            await until(lambda: app.state.live and daemon.following and app.state.errors, pilot)
            yield app, pilot, daemon


async def pressed(pilot: Pilot[int], *keys: str) -> None:
    """Press keys one after the other, as a person does."""
    await pilot.press(*keys)
    await pilot.pause()
