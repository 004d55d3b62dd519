"""The dashboard as tests drive it: at a fixed moment, with or without a fake daemon behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from textual.pilot import Pilot
from textual.strip import Strip

from rtsd.control.client import ControlClient
from rtsd.control.protocol import (
    Actions,
    Audits,
    Conditions,
    Event,
    EventValues,
    History,
    Missed,
    PackageDetails,
    QueryResult,
    QuotaHistory,
    Rules,
    Snapshot,
    Status,
    Why,
)
from rtstui import documents
from rtstui.app import RtsTui
from rtstui.clean import cleaned
from rtstui.daemon_link import DaemonLink
from rtstui.document_cache import DocumentRequest
from rtstui.state import Phase, State
from tests.support.dashboard import edits, papers
from tests.support.dashboard.action_entries import ACTIONS
from tests.support.dashboard.scenarios import NOW, dead_letters, error_log, events


class Clock:
    """A clock that stands still unless it is told to move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """What time it is."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Still(DaemonLink):
    """A connection that never connects: pictures are of what was folded in by hand."""

    async def run(self) -> None:
        """Do nothing, for ever; leave no connection that a view has opened."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.client.close()


def state(clock: Clock | None = None) -> State:
    """An empty state at NOW."""
    return State(now=clock or Clock(), socket="/run/rtsd/rtsd.sock")


def filled(status: Status, journal: Sequence[Event] | None = None) -> State:
    """A live state that has been told this status, some entries, and the logs that go with it."""
    told = state()
    told.fold(Snapshot(status=status))
    told.relink(Phase.LIVE)
    told.backfill(events(1, 400) if journal is None else journal)
    told.take_log(error_log() if status.errors_24h else [], dead_letters() if status.dead_letters else [])
    return told


def answered(told: State) -> State:
    """The same, and everything that views ask for has been answered."""
    record = msgspec.convert(papers.HISTORY, History)
    known: list[tuple[DocumentRequest[Any], Any]] = [
        (documents.actions(), msgspec.convert(ACTIONS, Actions)),
        (documents.audits(), msgspec.convert(papers.AUDITS, Audits)),
        (
            documents.missed(24, ""),
            msgspec.convert(papers.missed(told.status.push.missed_24h if told.status else 0), Missed),
        ),
        (documents.quota_history(), msgspec.convert(papers.quota_history(), QuotaHistory)),
        (documents.package(), msgspec.convert(papers.PACKAGE, PackageDetails)),
        (documents.rules(), msgspec.convert(papers.RULES, Rules)),
        (documents.history(("Contact",), papers.CONTACT), record),
        (documents.why("Contact", papers.CONTACT, ask_org=False), msgspec.convert(papers.WHY, Why)),
        (documents.query("SELECT"), msgspec.convert(papers.RESULT, QueryResult)),
    ]
    names = [item.name for item in told.status.objects] if told.status else []
    for name in names:
        fields = ["Email", "Phone"] if name == "Contact" else []
        known.append(
            (documents.conditions(name), msgspec.convert(papers.conditions(name, fields), Conditions))
        )
    for request, value in known:
        document = told.documents.get(request)
        document.value, document.at, document.requested_at = cleaned(value), told.now(), told.now()
    entries = [line for line in told.ring if isinstance(line, Event)]
    shown = msgspec.convert(edits.event_values(entries), EventValues).values
    told.values.keep([entry.seq for entry in entries], shown)
    return told


def still_app(told: State, **options: Any) -> RtsTui:
    """The app over a state that nothing changes."""
    return RtsTui([Still(ControlClient(told.socket), told)], **options)


@asynccontextmanager
async def running(
    socket: Path, *, clock: Clock | None = None, size: tuple[int, int] = (120, 35), **options: Any
) -> AsyncIterator[tuple[RtsTui, Pilot[int]]]:
    """The app, connected to whatever is behind the socket."""
    told = State(now=clock or Clock(), socket=str(socket))
    app = RtsTui([DaemonLink(ControlClient(socket), told)], **options)
    async with app.run_test(size=size) as pilot:
        yield app, pilot


async def until(
    condition: Callable[..., object], pilot: Pilot[int] | None = None, seconds: float = 20.0
) -> None:
    """Wait for a condition, and fail when it does not come."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition did not come true"
        await asyncio.sleep(0.01)
    if pilot is not None:
        await pilot.pause()


def text(app: RtsTui) -> str:
    """The screen as text, line by line."""
    width, height = app.size
    return "\n".join(strip.text[:width] for strip in painted(app)[:height])


def rows_in_focus(app: RtsTui) -> list[str]:
    """The rows of the panel that has the focus, which its heavy border tells."""
    return [line for line in text(app).splitlines() if line.startswith("┃ ")]


def painted(app: RtsTui) -> list[Strip]:
    """The screen as it is painted."""
    return app.screen._compositor.render_strips()  # noqa: SLF001 - no other way to see it as text


def notices(app: RtsTui) -> list[str]:
    """What the app has notified of and still shows."""
    return [reply.text for reply in app.replies.shown()]
