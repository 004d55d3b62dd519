"""The dashboard on a fake daemon, with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import ModalScreen

from rtstui.app import RtsTui
from rtstui.type_ahead import TypeAheadApp
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
    """Press keys as a person does: each once the answer to the one before it is on the screen.

    An action that asks the daemon first opens its dialog later; the next key belongs to that dialog.
    """
    for key in keys:
        await pilot.press(key)
        await until(lambda: answered(pilot.app), pilot)


def answered(app: App[int]) -> bool:
    """Whether the keys have had their effects, and a dialog is open or no action is under way."""
    if isinstance(app, TypeAheadApp) and not app.keys_settled:
        return False
    acts = [worker for worker in app.workers if worker.group == "act"]
    return isinstance(app.screen, ModalScreen) or all(worker.is_finished for worker in acts)


def kept(directory: Path) -> str:
    """What is in the one file there is."""
    (file,) = directory.iterdir()
    return file.read_text()
