"""The link to the daemon: what it makes of silence, death, strangers and its return."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event
from rtstui import daemon_link as module
from rtstui.daemon_link import DaemonLink
from rtstui.state import Gap, Phase, State
from tests.support.dashboard.app import state, until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import dead_letters, error_log, events, live


@asynccontextmanager
async def linked(socket: Path) -> AsyncIterator[tuple[DaemonLink, State]]:
    """A connection that runs."""
    told = state()
    connection = DaemonLink(ControlClient(socket), told)
    task = asyncio.create_task(connection.run())
    try:
        yield connection, told
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def numbers(told: State) -> list[int | Gap]:
    """The ring, entries by their number."""
    return [line.seq if isinstance(line, Event) else line for line in told.ring]


async def test_it_shows_what_was_before_and_follows_what_comes(socket: Path) -> None:
    """The newest entries are there at once; then every frame, and the logs."""
    async with FakeDaemon(socket, live(), events(1, 400)) as daemon, linked(socket) as (_, told):
        daemon.errors, daemon.letters = error_log(), dead_letters()
        await until(lambda: told.live and daemon.following)
        assert numbers(told) == list(range(1, 401))
        daemon.happen(events(401, 403), status=True)
        await until(lambda: told.newest == 403)
        assert numbers(told)[-3:] == [401, 402, 403]
        await until(lambda: told.errors)
        assert [letter.id for letter in told.dead_letters or ()] == [8812, 8790, 8633]
        assert daemon.asked_hz == ["10"]


async def test_a_daemon_that_comes_back_leaves_no_gap_and_no_double(socket: Path) -> None:
    """Killed and started again: lost is said, then everything missed is there exactly once."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with linked(socket) as (connection, told):
        await daemon.start()
        connection.try_now()
        await until(lambda: told.live and daemon.following)
        await daemon.stop()
        await until(lambda: told.link.phase is Phase.LOST)
        assert told.status is not None
        daemon.journal.extend(events(401, 450))
        daemon.status.last_seq = 450
        await daemon.start()
        connection.try_now()
        await until(lambda: told.live)
        daemon.happen(events(451, 452))
        await until(lambda: told.newest == 452)
        assert numbers(told) == list(range(1, 453))
        await daemon.stop()


async def test_a_long_absence_is_marked(socket: Path) -> None:
    """More was missed than is fetched: the stream says how much."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with linked(socket) as (connection, told):
        await daemon.start()
        connection.try_now()
        await until(lambda: told.live and daemon.following)
        await daemon.stop()
        await until(lambda: not told.live)
        daemon.journal.extend(events(401, 2_400))
        daemon.status.last_seq = 2_400
        await daemon.start()
        connection.try_now()
        await until(lambda: told.live)
        assert Gap(1_000, missed=True) in told.ring
        assert told.newest == 2_400
        await daemon.stop()


async def test_another_journal_behind_the_same_socket_starts_over(socket: Path) -> None:
    """A daemon with a new mirror counts from one: old entries are not mixed with its."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with linked(socket) as (connection, told):
        await daemon.start()
        connection.try_now()
        await until(lambda: told.live and daemon.following)
        await daemon.stop()
        await until(lambda: not told.live)
        daemon.journal.clear()
        daemon.journal.extend(events(1, 5))
        daemon.status.last_seq = 5
        await daemon.start()
        connection.try_now()
        await until(lambda: told.live)
        assert numbers(told) == [1, 2, 3, 4, 5]
        await daemon.stop()


async def test_no_daemon_says_so_and_tries_again_later_and_later(socket: Path) -> None:
    """Attempts go on for ever, with growing pauses."""
    async with linked(socket) as (connection, told):
        pauses = []
        for attempt in range(1, 8):
            await until(lambda attempt=attempt: told.link.attempt == attempt)
            assert told.link.phase is Phase.ABSENT
            assert told.link.retry_at is not None
            pauses.append((told.link.retry_at - told.now()).total_seconds())
            connection.try_now()
    assert pauses == [0.5, 1, 2, 4, 5, 5, 5]
    assert "rtsd run" in told.link.do


async def test_another_protocol_version_names_what_to_upgrade(socket: Path) -> None:
    """Neither guessed at nor crashed on."""
    status = live()
    status.protocol = 2
    async with FakeDaemon(socket, status), linked(socket) as (_, told):
        await until(lambda: told.link.phase is Phase.FOREIGN)
        assert "protocol 2" in told.link.message
        assert told.link.do == "Upgrade rtstui."
        assert told.status is None


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff", b'{"type":"frame"}', b"{" * 10_000, b'{"type":"frame","seq":"x"}']
)
async def test_a_frame_that_is_none_ends_the_session_not_the_dashboard(socket: Path, garbage: bytes) -> None:
    """After a malformed frame it connects anew and goes on."""
    async with FakeDaemon(socket, live(), events(1, 400)) as daemon, linked(socket) as (connection, told):
        await until(lambda: told.live and daemon.following)
        daemon.garbage = garbage
        daemon.send([])
        await until(lambda: not told.live)
        connection.try_now()
        await until(lambda: told.live and daemon.following)
        daemon.happen(events(401, 401))
        await until(lambda: told.newest == 401)


async def test_a_daemon_that_is_stopped_is_noticed(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process under SIGSTOP keeps its socket open; it is lost all the same."""
    monkeypatch.setattr(module, "QUIET_S", 0.1)
    hanging = asyncio.Event()
    async with FakeDaemon(socket, live(), events(1, 400)) as daemon, linked(socket) as (_, told):
        await until(lambda: told.live and daemon.following)
        daemon.hold = hanging
        await until(lambda: told.link.phase is Phase.LOST)
        assert "not answered" in told.link.message
        hanging.set()


async def test_a_quiet_daemon_is_asked_and_stays_live(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle org sends nothing: that is not a loss, and the status goes on being true."""
    monkeypatch.setattr(module, "QUIET_S", 0.05)
    async with FakeDaemon(socket, live(), events(1, 400)) as daemon, linked(socket) as (_, told):
        await until(lambda: told.live and daemon.following)
        daemon.status = live()
        daemon.status.mode = "interval"
        await until(lambda: told.status is not None and told.status.mode == "interval")
        assert told.live


async def test_an_error_log_that_cannot_be_read_is_said_not_fatal(socket: Path) -> None:
    """One refused document leaves the rest alive."""
    async with FakeDaemon(socket, live()) as daemon, linked(socket) as (_, told):
        daemon.log_refused = True
        await until(lambda: told.log_error)
        assert told.live
        assert "disk" in told.log_error
