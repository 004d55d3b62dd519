"""What systemd is told while the database is away."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rtsd.daemon.watchdog import Watchdog
from tests.support import postgres
from tests.support.inprocess.rig import Start
from tests.support.postgres import URL, PostgresMirror


@postgres.NEEDED
async def test_the_watchdog_is_fed_while_the_database_is_away(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another start would not bring it back; the line of `systemctl status` says what is wrong."""
    rig = await start({"Contact": 1})
    with postgres.cluster("-F") as url, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        monkeypatch.setenv(URL, url)
        async with await PostgresMirror(tmp_path / "mirror").engine().open() as database:
            watchdog = Watchdog((database,), rig.parts.base.catalog, rig.parts.channel.mode)
            listening.bind(str(tmp_path / "notify"))
            listening.settimeout(5)
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
            with postgres.crashed(url):
                await watchdog.step()
                assert listening.recv(1000).startswith(b"STATUS=pushes are refused: ")
                assert listening.recv(1000) == b"WATCHDOG=1"
            await watchdog.step()
            assert b"1 object live" in listening.recv(1000)
