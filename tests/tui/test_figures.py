"""A figure that stands in several places is the same in all of them, and the one of the status."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from rtsd.control.protocol import Drift, Limit, Status
from rtsd.control.verdict import cost, is_proven
from rtsd.core.figures import count, percent
from rtstui.rows import plain
from rtstui.widgets.chart import AXIS, plot, round_up, scale
from rtstui.widgets.quota import split_bar
from rtstui.widgets.usage import UsedPlot
from tests.support.dashboard.app import answered, filled, still_app, text, until
from tests.support.dashboard.scenarios import NOW, SCENARIOS, ago, drifting, healthy, live, repaired
from tests.support.dashboard.watching import pressed

SIZES = [(80, 24), (200, 50)]


def said(screens: dict[str, str], pattern: str) -> set[str]:
    """Everything that a pattern finds in any view."""
    return {found for screen in screens.values() for found in re.findall(pattern, screen)}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_figures_agree_with_the_status(scenario: str, size: tuple[int, int]) -> None:
    """Verdicts, tabs, titles, tables and plots of all views, in every scenario."""
    status = SCENARIOS[scenario]()
    app = still_app(answered(filled(status)))
    screens = {}
    async with app.run_test(size=size) as pilot:
        for key in "134579S":
            await pressed(pilot, key)
            await until(lambda key=key: app.current_mode == key, pilot)
            await pilot.pause(0.12)
            screens[key] = text(app)
    for pattern, figures in expected(status):
        found = said(screens, pattern)
        assert found <= figures, (pattern, found)
    if status.objects:
        assert said(screens, r"(\d+)(?:/| of )\d+ proven"), "the verdict is nowhere"


def expected(status: Status) -> Iterator[tuple[str, set[str]]]:
    """What each pattern may find, by the status."""
    objects, limits = status.objects, {limit.name: limit for limit in status.quota.limits}
    proven = sum(is_proven(item) for item in objects)
    yield r"(\d+/\d+) proven", {f"{proven}/{len(objects)}"}
    yield r"(\d+ of \d+) proven", {f"{proven} of {len(objects)}"}
    drifts = [item.drift for item in objects if item.drift and not item.drift.repaired]
    differ = sum(drift.missing + drift.stale + drift.orphaned for drift in drifts)
    yield r"(\d+)(?: records?)? differ", {str(differ)}
    yield r"([\d,]+) changes? came without a push", {count(status.push.missed_24h)}
    yield r"· ([\d,]+) rows", {count(sum(item.rows for item in objects))}
    yield r"(\d+) errors? in 24 h", {str(status.errors_24h)}
    yield r"(\d+) dead letters?", {str(status.dead_letters)}
    yield r"(\d+) dead\b(?! letter)", {str(status.dead_letters)}
    trouble = status.errors_24h + status.dead_letters
    yield r"Err(?:or)?s ?✖(\d+)", {str(trouble)}
    yield r"([\d,]+) in all", {count(sum(status.quota.calls_24h.values()))}
    for purpose in ("audit", "interval", "repair", "describe", "package"):
        yield rf"{purpose} +(\d+)\b(?! records| ev)", {str(status.quota.calls_24h.get(purpose, 0))}
    if (limit := limits.get("DailyApiRequests")) is not None:
        used = limit.max - limit.remaining
        share = percent(used / limit.max)
        yield r"cost (\S+) of 100k", {share}
        yield r"cost +(\S+) used", {share}
        yield r"([\d,]+) used \(", {count(used)}
        yield r"used \((\S+)\)", {share}
        yield r"API requests +[█▓░]+ +(\S+%)", {share}
        yield r"([\d,]+) left ·", {count(limit.remaining)}
        yield r"cost +\S+ used: ([\d,]+) ours", {count(limit.used_by_us)}
        yield r"cost +\S+ used: [\d,]+ ours, ([\d,]+) others", {count(limit.used_by_others)}
        yield (
            r"API requests +([\d,]+ +[\d,]+)",
            {
                f"{limit.used_by_us:,}".rjust(1)
                + " " * (10 - len(count(limit.used_by_others)))
                + count(limit.used_by_others)
            },
        )


async def test_the_object_that_differs_is_in_sight_and_not_live() -> None:
    """At 80x24 there is room for six of eight objects: the one in trouble is the first."""
    app = still_app(filled(drifting()))
    async with app.run_test(size=(80, 24)):
        await until(lambda: "▲ differs" in text(app))
        (row,) = [line for line in text(app).splitlines() if line.startswith("│ Case")]
        assert "▲ 28, 40s ago" in row
        assert "live" not in row
        assert "7 of 8 proven, oldest 1h ago · Case: 28 differ, 40s ago" in text(app)
        assert "Objs▲1" in text(app)


async def test_what_is_repaired_is_not_in_trouble() -> None:
    """The findings stay on record, and the mirror is proven again."""
    app = still_app(filled(repaired()))
    async with app.run_test(size=(80, 24)):
        await until(lambda: "✔ 28 repaired, 40s" in text(app))
        assert "8 of 8 proven, oldest 1h ago · 28 records repaired" in text(app)
        assert "▲" not in text(app)


async def test_what_was_proven_has_its_age() -> None:
    """Rows of now beside a count of an hour ago are not five per cent wrong; what differs has no proof."""
    app = still_app(filled(drifting()), view="3")
    async with app.run_test(size=(120, 35)):
        await until(lambda: "PROVEN  AGO" in text(app))
        screen = text(app)
        assert re.search(r"Account +● live +48,210 +48,210 +1h", screen)
        assert re.search(r"Case +▲ differs +5,120 +— +—", screen)
        assert "5,120 here now, the org counted 5,139 40s ago" in screen


async def test_a_load_is_a_proof_and_no_check() -> None:
    """Beside "6 of 6 proven" no column says "not checked" or "never": it says when it was proven."""
    status = healthy()
    for item in status.objects:
        item.drift, item.proven_at, item.counted_at = None, ago(180), ago(180)
    app = still_app(answered(filled(status)))
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: "6 of 6 proven, oldest 3m ago · no check since the start" in text(app))
        for key in ("1", "3", "7"):
            await pressed(pilot, key)
            await until(lambda: text(app).count("proven 3m ago") >= 5, pilot)
            assert not re.search("not checked|never", text(app))


async def test_a_check_of_one_object_is_not_one_of_all() -> None:
    """The answer counts the objects that were checked."""
    status = healthy()
    for item in status.objects[1:]:
        item.drift = None
    app = still_app(filled(status))
    async with app.run_test(size=(120, 35)):
        await until(lambda: "no drift, 1 of 6 checked 1h ago" in text(app))


async def test_what_a_check_repaired_is_one_number_everywhere() -> None:
    """The journal told of 62 repaired records, the column of 2: 60 had changed in unwatched fields."""
    status = healthy()
    status.objects[1].drift = Drift(checked_at=ago(13), missing=2, held_back=60, repaired=True)
    app = still_app(answered(filled(status)), view="3")
    async with app.run_test(size=(140, 35)) as pilot:
        await until(lambda: "✔ 62 repaired" in text(app))
        assert "62 records repaired" in text(app)
        await pressed(pilot, "7")
        await until(lambda: "UNWATCHED" in text(app))


async def test_a_resumed_object_is_proven_again_and_not_loaded() -> None:
    """It has its rows: nothing may look like a first full read."""
    status = healthy()
    status.objects[1].state = "pending"
    app = still_app(answered(filled(status)), view="3")
    async with app.run_test(size=(120, 35)) as pilot:
        await pressed(pilot, "down")
        await until(lambda: "Its rows stay." in text(app))
        screen = text(app)
    assert re.search(r"Contact +◐ proving +663,102", screen)
    assert "5 of 6 proven, oldest 1h ago · Contact: proving again" in screen
    assert "full read" not in screen
    assert "✔ none" not in re.findall(r"Contact +◐.*", screen)[0], "what an earlier check showed is past"


async def test_the_plot_ends_with_the_use_that_the_table_shows() -> None:
    """The newest sample is an hour old: 2 then, 208 now. The forecast begins where the past ends."""
    status = live()
    limit = status.quota.limits[0]
    limit.remaining, limit.used_by_us, limit.used_by_others = limit.max - 208, 208, 0
    told = answered(filled(status))
    app = still_app(told, view="5")
    async with app.run_test(size=(120, 45)) as pilot:
        shown = app.screen.query_one(UsedPlot)
        document = shown.document()
        assert document.value is not None
        for sample in document.value.usage:
            sample.used = sample.used_by_us = 2
        document.value.ours = []
        told.rev += 1
        await pilot.pause(0.15)
        picture = [row for row in map(plain, shown.paint(60, 12)) if "│" in row]
        screen = text(app)
    assert "208 used (<1%), 99,792 left" in screen
    assert [label for row in picture if (label := row[:AXIS].strip())] == ["200", "100"]
    now = picture[0].index("│")
    column = "".join(row[now - 1] for row in picture)
    assert column.endswith("▂" + "█" * 6), "208, a little above the tick of 200"
    assert "At this rate 208 of ours by 00:00 UTC, 208 of everybody's (<1%): enough," in screen


@pytest.mark.parametrize("highest", [1, 2, 7, 9, 10, 73, 208, 229, 44_000, 61_400, 73_000, 100_000, 999_999])
@pytest.mark.parametrize("height", range(1, 20))
def test_ticks_are_round_and_the_highest_value_is_in_the_plot(highest: int, height: int) -> None:
    """No 73k and 44k on a scale: 1, 2, 5 or 25 and zeros, and of a plot of some height most is used."""
    step, apart = scale(highest, height)
    assert re.fullmatch(r"[125]0*|250*", str(step))
    assert step * height / apart >= highest
    assert height < 6 or step * height / apart <= max(highest * 2, height)
    labels = [plain(row)[:AXIS].strip() for row in plot([float(highest)], height, role="ok")]
    assert any(labels)
    assert round_up(step) == step


def test_a_part_of_nothing_is_not_drawn() -> None:
    """8 of 10,000 by us and none by others: rounding must not make a cell of it."""
    for ours in range(1, 200):
        limit = Limit(name="x", max=10_000, remaining=10_000 - ours, used_by_us=ours)
        assert "▓" not in plain(tuple(split_bar(limit, 40))), ours


def test_the_short_cost_counts_everybody() -> None:
    """97 % used is not 412 of 100k, whoever used them."""
    found = cost(SCENARIOS["deferred"](), NOW)
    assert (found.role, found.brief) == ("error", "97% of 100k, 412 ours")
    assert found.facts == ("97% used: 412 ours, 96,688 others", "out 13:34 UTC", "rtsd has stopped")
