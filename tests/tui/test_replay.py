"""A session that is recorded and shown again: what it has, what it leaves out, how one moves in it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtsd.control.protocol import Event
from rtsd.errors import RtsError
from rtstui.app import RtsTui
from rtstui.daemon_link import DaemonLink
from rtstui.recording import Recorder, RecordingClient
from rtstui.replay import Replay, ReplayClient
from rtstui.state import State
from tests.support.dashboard.app import running, text, until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import NOW, dead_letters, error_log, event, events, live
from tests.support.dashboard.watching import pressed

SECRET = "ana@acme.example"


class Moved:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        """The moment."""
        return self.at


async def recorded(socket: Path, file: Path) -> None:
    """Record a minute: an entry each ten seconds, and in the middle a pause of the whole sync."""
    clock, status = Moved(), live()
    status.last_seq = 40
    recorder = Recorder(file, clock)
    daemon = FakeDaemon(socket, status, events(1, 40))
    daemon.errors, daemon.letters = error_log(), dead_letters()
    daemon.errors[0].message = f"duplicate value: {SECRET}"
    daemon.letters[0].message = f"{SECRET} is not an e-mail address"
    state = State(now=clock, socket=str(socket))
    async with daemon:
        app = RtsTui([DaemonLink(RecordingClient(socket, recorder), state)])
        async with app.run_test(size=(120, 35)) as pilot:
            await until(lambda: state.live and state.errors, pilot)
            await pressed(pilot, "7")
            for step in range(1, 7):
                clock.at = NOW + timedelta(seconds=10 * step)
                row = event(40 + step)
                if step == 3:
                    row = Event(seq=43, at=row.at, type="error", object="Lead", message=f"no {SECRET}")
                    daemon.status.mode = "paused"
                daemon.happen([row], status=step == 3)
                await until(lambda step=step: state.newest == 40 + step, pilot)
    recorder.close()


def player(file: Path) -> tuple[RtsTui, Replay]:
    """The dashboard over a recording."""
    replay = Replay(file)
    state = State(now=replay.now, socket=str(file))
    return RtsTui([DaemonLink(ReplayClient(file, replay), state)], read_only=True, replay=replay), replay


async def test_a_recording_is_shown_as_it_was(socket: Path, tmp_path: Path) -> None:
    """Forward and back, a step or a minute; nothing can be ordered of what is past."""
    await recorded(socket, tmp_path / "session")
    app, replay = player(tmp_path / "session")
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: app.state.live and "REPLAY ▶" in text(app), pilot)
        assert app.state.newest == 40
        await pressed(pilot, "p", "full_stop", "full_stop", "full_stop")
        await until(lambda: app.state.newest == 43 and "‖ paused" in text(app), pilot)
        assert "REPLAY ‖" in text(app)
        assert replay.now() >= NOW + timedelta(seconds=30)
        await pressed(pilot, "comma", "comma")
        await until(lambda: app.state.newest == 41 and "real time" in text(app), pilot)
        await pressed(pilot, "greater_than_sign")
        await until(lambda: app.state.newest == 46, pilot)
        await pressed(pilot, "7")
        await until(lambda: "Audits and repairs" in text(app) and "fingerprint" in text(app), pilot)
        await pressed(pilot, "3", "A")
        await until(lambda: "only shows" in text(app), pilot)


async def test_what_was_not_recorded_says_so(socket: Path, tmp_path: Path) -> None:
    """Records are not in a recording: their view has the reason, not a crash."""
    await recorded(socket, tmp_path / "session")
    app, _ = player(tmp_path / "session")
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: app.state.live, pilot)
        await app.run_action("record('Contact', '003Dn00000Aq1ZxAAJ')")
        await until(lambda: "not in the recording" in text(app), pilot)


async def test_a_recording_has_no_value_of_a_record(socket: Path, tmp_path: Path) -> None:
    """It is sent to somebody else; and only its owner can read it."""
    file = tmp_path / "session"
    await recorded(socket, file)
    assert SECRET.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe", b"not a recording\n"])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """By a sentence that says how a recording is made."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RtsError, match=r"is no recording|is empty"):
        Replay(tmp_path / "x")
    with pytest.raises(RtsError, match="cannot be read"):
        Replay(tmp_path / "y")


async def test_a_second_recording_does_not_overwrite_the_first(tmp_path: Path) -> None:
    """The file must be new."""
    Recorder(tmp_path / "session", lambda: datetime.now(UTC)).close()
    with pytest.raises(FileExistsError):
        Recorder(tmp_path / "session", lambda: datetime.now(UTC))


async def test_without_a_recording_its_keys_do_nothing(socket: Path) -> None:
    """They are not in the help, and not in the line of keys."""
    async with FakeDaemon(socket, live()), running(socket) as (app, pilot):
        await until(lambda: app.state.live, pilot)
        await pressed(pilot, "comma", "p")
        assert "10 s back" not in text(app)
        await asyncio.sleep(0)
