"""A still picture of a view: where it has to be told what to show, it is."""

from __future__ import annotations

from textual.pilot import Pilot

from rtstui.screens.query import QueryView
from rtstui.screens.record import RecordView
from rtstui.widgets.result import ResultTable
from tests.support.dashboard import papers


async def settled(pilot: Pilot[int]) -> None:
    """A tick has passed: everything shows what there is."""
    await pilot.pause(0.15)


async def chosen(pilot: Pilot[int]) -> None:
    """Where a view has to be told what to show, it is."""
    await settled(pilot)
    screen = pilot.app.screen
    if isinstance(screen, RecordView):
        screen.subject.objects, screen.subject.record = ("Contact",), papers.CONTACT
        screen.tick()
    elif isinstance(screen, QueryView):
        table = screen.query_one(ResultTable)
        table.sql = "SELECT"
        table.tick()
    await settled(pilot)
