"""The dashboard on a real daemon: what it asks is what the daemon answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from textual.pilot import Pilot

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event
from rtsd.workflows.demo.environment import UNMIRRORED as STRAY
from rtsd.workflows.demo.environment import push_unmirrored
from rtstui.app import RtsTui
from rtstui.daemon_link import DaemonLink
from rtstui.screens.find import Find
from rtstui.state import Gap, State
from rtstui.widgets.sql_editor import SqlEditor
from tests.support.dashboard.app import notices, text
from tests.support.processes.rig import TOKEN, Rig, standing
from tests.support.waiting import eventually

OBJECT = "Contact"
WITHIN_S = 2.0
"""So soon an operator has to be told that the daemon is gone."""


async def until(condition: Callable[..., object], seconds: float = 20.0) -> float:
    """Wait for a condition; return how long that took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "the condition did not come true"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


def watched(rig: Rig) -> RtsTui:
    """The dashboard on the rig's daemon."""
    state = State(now=lambda: datetime.now(UTC), socket=str(rig.socket))
    return RtsTui([DaemonLink(ControlClient(rig.socket), state)])


async def asked(app: RtsTui, pilot: Pilot[int], record: str) -> None:
    """Ask by SQL, and for a record by its id."""
    await pilot.press("0", "slash")
    app.screen.query_one(SqlEditor).show(f"SELECT 2 * count(*) AS twice FROM {OBJECT}")
    await pilot.press("enter")
    await until(lambda: "twice" in text(app) and " 40 " in text(app))
    await pilot.press("ctrl+f", *record)
    await until(lambda: isinstance(app.screen, Find) and "1 record" in text(app))
    await pilot.press("enter")
    await until(lambda: app.current_mode == "8" and "Touched by" in text(app))


async def test_every_view_shows_the_real_daemon_and_survives_its_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each view finds its documents; kill -9 is told at once; back again, no entry is missing or double."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with standing({OBJECT: 20}, interval="2s") as rig:
        await rig.install_package()
        daemon = await rig.start()
        await daemon.live()
        record = str(rig.read(f"SELECT Id FROM {OBJECT} ORDER BY Id LIMIT 1")[0][0])
        app = watched(rig)
        async with app.run_test(size=(160, 45)) as pilot:
            await until(lambda: app.state.live)
            await rig.org.dml("update", OBJECT, rows=[{"Id": record, "Title": "Keeper of Bees"}])
            await until(
                lambda: any(isinstance(entry, Event) and entry.id == record for entry in app.state.ring)
            )

            app.action_record(OBJECT, record)
            await until(lambda: "Keeper of Bees" in text(app) and "Touched by" in text(app))
            for key, said in (("5", "Our calls per hour"), ("6", "installed"), ("7", "state audit begins")):
                await pilot.press(key)
                await until(lambda said=said: said in text(app))
            await pilot.press("9")
            await until(lambda: "[[rules]]" in text(app))
            await asked(app, pilot, record)

            status = await daemon.status()
            await push_unmirrored(str(status.gateway.listen), str(status.org.id), TOKEN)
            await pilot.press("4")
            await until(lambda: STRAY in text(app))
            (letter,) = await daemon.client.dead_letters()
            await pilot.press("R", "y")
            await until(lambda: f"Dead letter {letter.id} failed again" in " ".join(notices(app)))

            async def back() -> bool:  # it fails again, and keeps its number
                letters = await daemon.client.dead_letters()
                return [(buried.id, buried.attempts) for buried in letters] == [(letter.id, 2)]

            await eventually(back, "the dead letter is judged again", 10)

            await daemon.kill()
            assert await until(lambda: "LOST" in text(app)) < WITHIN_S
            daemon = await rig.start()
            await until(lambda: "● connected" in text(app))
            await rig.org.dml("update", OBJECT, rows=[{"Id": record, "Title": "Keeper of Time"}])
            await pilot.press("8")
            await until(lambda: "Keeper of Time" in text(app))
        numbers = [entry.seq for entry in app.state.ring if isinstance(entry, Event)]
        assert numbers == sorted(set(numbers))
        assert not [entry for entry in app.state.ring if isinstance(entry, Gap)]
        journal = [row[0] for row in rig.read("SELECT seq FROM _rts_journal ORDER BY seq")]
        assert set(journal) >= set(numbers)
        assert set(numbers) >= {seq for seq in journal if seq <= numbers[-1]}
