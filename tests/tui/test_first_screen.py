"""What the first screen says in the first minutes: nothing is called well that is not, no word is cut."""

from __future__ import annotations

import itertools

import pytest

from rtsd.control.protocol import DeadLetter
from rtstui.app import RtsTui
from rtstui.screens.dialogs import Help
from tests.support.dashboard.app import answered, filled, still_app, text, until
from tests.support.dashboard.scenarios import SCENARIOS, ago, healthy, live
from tests.support.dashboard.watching import pressed

SURVEY = "Survey__c is not among the configured [[objects]]"


def with_a_letter(**options: str) -> RtsTui:
    """The app beside a daemon that has one dead letter and no error."""
    status = healthy()
    status.dead_letters = 1
    told = answered(filled(status))
    letter = DeadLetter(id=1, at=ago(180), reason="UnknownObject", message=SURVEY, object="Survey__c")
    told.take_log([], [letter])
    return still_app(told, **options)


@pytest.mark.parametrize("view", ["1", "4"])
async def test_no_errors_but_a_dead_letter_is_not_all_well(view: str) -> None:
    """The tab says ▲1: the panel of the errors must not say ✔ beside it."""
    app = with_a_letter(view=view)
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: "4 Errors ▲1" in text(app), pilot)
        await until(lambda: "▲ No errors, but 1 dead letter" in text(app), pilot)
        assert "✔ No errors" not in text(app)


async def test_a_dead_letter_on_the_first_screen_has_its_age_and_whole_reason() -> None:
    """Below the line, where it is too narrow for the reason."""
    app = with_a_letter()
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: "Survey__c" in text(app), pilot)
        shown = [line[76:].strip("│┃ ") for line in text(app).splitlines()]
        (row,) = [line for line in shown if line.startswith("[ ]")]
        assert row.split()[:5] == ["[", "]", "1", "3m", "Survey__c"]
        assert SURVEY in " ".join(shown)


async def test_a_reason_that_does_not_fit_below_its_letter_ends_in_an_ellipsis() -> None:
    """The panel may have one line left of the two that the reason takes."""
    app = with_a_letter()
    async with app.run_test(size=(120, 33)) as pilot:
        await until(lambda: "Survey__c" in text(app), pilot)
        shown = [line[76:].strip("│┃ ") for line in text(app).splitlines()]
        (at,) = [at for at, line in enumerate(shown) if line.startswith("[ ]")]
        reason = list(itertools.takewhile(lambda line: "─" not in line, shown[at + 1 :]))
        assert reason
        assert " ".join(reason) == SURVEY or reason[-1].endswith("…"), reason


@pytest.mark.parametrize(("size", "view", "said"), [((120, 35), "1", " — "), ((160, 45), "5", "first hour")])
async def test_a_forecast_that_is_not_known_yet_is_no_cut_word(
    size: tuple[int, int], view: str, said: str
) -> None:
    """A sign where there is room for no more, else the reason."""
    status = live()
    for limit in status.quota.limits:
        limit.measured_s = 240
    app = still_app(answered(filled(status)), view=view)
    async with app.run_test(size=size) as pilot:
        await until(lambda: said in text(app), pilot)
        assert "not know…" not in text(app)
        assert "not k…" not in text(app)


async def test_rows_and_proven_rows_are_told_apart() -> None:
    """Both are there; that they differ by what changed since is said in the head and in the help."""
    app = still_app(answered(filled(live())))
    async with app.run_test(size=(120, 90)) as pilot:
        await until(lambda: "ROWS NOW" in text(app), pilot)
        await pressed(pilot, "question_mark")
        await until(lambda: isinstance(app.screen, Help), pilot)
        await until(lambda: "later changes make the rows now differ" in text(app), pilot)


async def test_the_reason_that_something_is_not_proven_is_cut_and_not_left_out() -> None:
    """With most of the line empty, `1 of 4 proven · …` told nobody why."""
    app = still_app(answered(filled(SCENARIOS["deferred"]())))
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: "1 of 4 proven, 1h ago · Opportunity: deferred, " in text(app), pilot)
