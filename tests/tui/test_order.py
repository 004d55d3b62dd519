"""One order everywhere: the newest is last, and a table shows its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsd.control.protocol import ErrorEntry, Event
from rtstui.app import RtsTui
from rtstui.widgets.audits import Findings
from rtstui.widgets.errors import DeadLetters, ErrorLog
from rtstui.widgets.record import Versions
from rtstui.widgets.stream import Stream
from rtstui.widgets.table import Table
from tests.support.dashboard.app import text, until
from tests.support.dashboard.papers import CONTACT
from tests.support.dashboard.scenarios import ago
from tests.support.dashboard.watching import pressed, watching


def errors(first: int, last: int) -> list[ErrorEntry]:
    """Errors as the daemon lists them: the newest first."""
    return [
        ErrorEntry(seq=seq, at=ago(3_600 - seq), error="UNABLE_TO_LOCK_ROW", message=f"error number {seq}.")
        for seq in range(last, first - 1, -1)
    ]


def shown(app: RtsTui) -> list[int]:
    """The numbers of the errors in sight, from top to bottom."""
    rows = (line for line in text(app).splitlines() if "✖" in line and "error number" in line)
    return [int(row.partition("error number ")[2].partition(".")[0]) for row in rows]


@pytest.mark.parametrize(
    ("keys", "table"),
    [
        (["4"], ErrorLog),
        (["4"], DeadLetters),
        (["7"], Findings),
        (["8", "slash", *CONTACT, "enter"], Versions),
    ],
)
async def test_every_list_of_moments_ends_with_the_newest(
    socket: Path, keys: list[str], table: type[Table]
) -> None:
    """As the stream does."""
    async with watching(socket, size=(120, 50)) as (app, pilot, _):
        await pressed(pilot, *keys)
        panel = app.screen.query_one(table)
        await until(lambda: len(panel.keys()) > 1, pilot)
        numbers = list(map(int, panel.keys()))
        assert numbers == sorted(numbers)
        await until(lambda: panel.cursor == panel.keys()[-1])


async def test_a_list_shows_its_end_until_the_cursor_leaves_it(socket: Path) -> None:
    """What comes is seen; a row that is read stays under the cursor, and in its place."""
    async with watching(socket, size=(80, 24)) as (app, pilot, daemon):
        daemon.errors = errors(1, 40)
        app.link.read_log()
        await pressed(pilot, "4")
        await until(lambda: shown(app)[-1:] == [40])
        daemon.errors = errors(1, 41)
        app.link.read_log()
        await until(lambda: shown(app)[-1:] == [41])
        await pressed(pilot, "up", "up", "up")
        log = app.screen.query_one(ErrorLog)
        held = log.cursor
        before = shown(app)
        daemon.errors = errors(1, 60)
        app.link.read_log()
        await until(lambda: len(log.keys()) == 60, pilot)
        assert (log.cursor, shown(app)) == (held, before)
        await pressed(pilot, "G")
        await until(lambda: shown(app)[-1:] == [60])


async def test_the_stream_ends_with_the_newest(socket: Path) -> None:
    """The order that the others follow."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2")
        numbers = [line.seq for line in app.screen.query_one(Stream).lines if isinstance(line, Event)]
        assert numbers == sorted(numbers)
        assert app.state.newest == numbers[-1]
