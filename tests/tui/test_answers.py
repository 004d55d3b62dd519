"""The three answers on the screen: where they stand, what room they take, what their keys do."""

from __future__ import annotations

import re

import pytest

from rtstui.app import RtsTui
from rtstui.state import Phase
from tests.support.dashboard.app import answered, filled, still_app, text, until
from tests.support.dashboard.scenarios import SCENARIOS, drifting, live

SIZES = [(60, 16), (80, 24), (120, 35), (200, 50)]
NAMES = ("right", "fresh", "cost")


def lines(app: RtsTui) -> list[str]:
    """The lines of the screen, without the blanks at their ends."""
    return [line.rstrip() for line in text(app).splitlines()]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_each_answer_has_a_line(scenario: str, size: tuple[int, int]) -> None:
    """Three lines below the tabs, at every size, in the same order; an unfinished one ends in an ellipsis."""
    app = still_app(filled(SCENARIOS[scenario]()))
    async with app.run_test(size=size):
        await until(lambda: "cost" in text(app))
        shown = lines(app)[2:5]
    assert [re.sub(r"^\W+", "", line).split()[0] for line in shown] == list(NAMES)
    assert all(len(line) <= size[0] for line in shown)


async def test_the_line_ends_with_the_key() -> None:
    """What to press is at the end of the line, where all keys stand below one another."""
    app = still_app(filled(drifting()))
    async with app.run_test(size=(80, 24)):
        await until(lambda: "A repairs" in text(app))
        assert lines(app)[2].endswith("A repairs")


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_smallest_screen_has_the_three_answers_and_nothing_else(scenario: str) -> None:
    """40x10: no table, no keys, no tabs; each answer begins a line."""
    app = still_app(filled(SCENARIOS[scenario]()))
    async with app.run_test(size=(40, 10)) as pilot:
        await until(lambda: "cost" in text(app), pilot)
        shown = lines(app)
        begun = [line.split()[1] for line in shown if line and not line.startswith("   ")]
        assert begun == list(NAMES)
        await pilot.resize_terminal(80, 24)
        await until(lambda: "quit" in text(app), pilot)
        await pilot.resize_terminal(40, 10)
        await until(lambda: "quit" not in text(app), pilot)


async def test_the_smallest_screen_says_that_the_daemon_is_lost() -> None:
    """There is no top bar: each answer is dated, and none is green."""
    told = filled(live())
    told.relink(Phase.LOST, "gone.")
    app = still_app(told)
    async with app.run_test(size=(40, 10)):
        await until(lambda: "LOST" in text(app))
        assert text(app).count("LOST") == len(NAMES)
        assert "✔" not in text(app)


@pytest.mark.parametrize("view", ["1", "3", "9"])
async def test_more_room_never_shows_fewer_columns(view: str) -> None:
    """What a colleague saw on a small screen is on the large one too."""
    before = ""
    for size in [(60, 16), (80, 24), (120, 35), (200, 50)]:
        app = still_app(answered(filled(drifting())), view=view)
        async with app.run_test(size=size) as pilot:
            await until(lambda app=app: "STATE" in text(app) or "FIRED" in text(app), pilot)
            header = next(line for line in lines(app) if "STATE" in line or "FIRED" in line)
        lost = set(_columns(before)) - set(_columns(header))
        assert lost <= {"p95"}, (size, header)
        before = header


def _columns(header: str) -> list[str]:
    return re.findall(r"[A-Z]+|p95", header.partition("FRESH")[0]) + re.findall("FRESH|DRIFT", header)


async def test_the_list_is_on_the_left_and_the_choice_on_the_right() -> None:
    """At 200x50 the detail stands beside the list, and no column of the list is cut."""
    app = still_app(answered(filled(drifting())), view="3")
    async with app.run_test(size=(200, 50)) as pilot:
        await until(lambda: "Its last check found" in text(app), pilot)
        row = next(line for line in lines(app) if "Case  " in line)
        assert "▲ 28, 40s ago" in row
        assert (
            app.screen.query_one("#object-card").region.x > app.screen.query_one("#objects").region.right - 1
        )


async def test_a_deletion_is_not_painted_as_trouble() -> None:
    """Red is for what an operator has to mend; people delete records every day."""
    app = still_app(filled(live()), view="2")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: " delete " in text(app), pilot)
        rows = app.screen.query_one("Stream").rows  # type: ignore[attr-defined]
        roles = {role for row in rows for said, role in row if said.strip() == "delete"}
    assert roles == {"bold"}
