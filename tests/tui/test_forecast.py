"""What a limit's use will be: by the ledger, by the last hour, and in words; never against the table."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from rtsd.control.protocol import HourlyUse, IdleDay, Limit, QuotaHistory, UsageSample
from rtsd.control.verdict import cost
from rtsd.core.figures import percent
from rtstui.forecast import DEMO, SHORT, forecast, next_midnight, words
from rtstui.rows import plain
from rtstui.widgets.usage import UsedPlot
from tests.support.dashboard.app import answered, filled, still_app, text, until
from tests.support.dashboard.scenarios import NOW, SCENARIOS, ago, captured, live
from tests.support.dashboard.watching import pressed

API = "DailyApiRequests"
HOUR_S = 3_600


def limit(ours: int = 0, others: int = 0, **more: str | int | None) -> Limit:
    """A limit of 100,000."""
    left = 100_000 - ours - others
    fields: dict[str, object] = {"name": API, "used_by_us": ours, "used_by_others": others} | more
    return Limit(max=100_000, remaining=left, **fields)  # type: ignore[arg-type]


def sample(hours: float, ours: int, others: int) -> UsageSample:
    """What was measured so many hours ago."""
    return UsageSample(at=ago(hours * HOUR_S), name=API, max=100_000, used=ours + others, used_by_us=ours)


def used(hours: float, number: int) -> HourlyUse:
    """What rtsd used in the hour that began so many hours ago."""
    return HourlyUse(at=ago(hours * HOUR_S), name=API, used=number)


def in_hours(hours: float) -> datetime:
    """A moment to come."""
    return NOW + timedelta(hours=hours)


def test_our_calls_count_for_a_day_and_no_longer() -> None:
    """An initial load of 20 hours ago is gone in four, and what goes on is 10 an hour."""
    history = QuotaHistory(
        usage=[sample(30, 0, 0)], ours=[used(20, 5_000), *(used(back, 10) for back in (3, 2, 1))]
    )
    found = forecast(limit(ours=5_030), history, NOW)
    assert found is not None
    assert found.at(NOW).ours == 5_030
    assert found.at(in_hours(3)).ours == pytest.approx(5_060)
    assert found.at(in_hours(4.5)).ours == pytest.approx(2_575)
    assert found.at(in_hours(6)).ours == pytest.approx(90)
    assert found.at(in_hours(23.99)).ours == pytest.approx(240, abs=1)


def test_others_go_on_as_in_the_last_hour() -> None:
    """As rtsd forecasts the end of a limit: from the first figure in it on."""
    history = QuotaHistory(usage=[sample(5, 0, 9_999), sample(1, 0, 1_000), sample(0.5, 0, 1_100)])
    found = forecast(limit(others=1_200), history, NOW)
    assert found is not None
    assert found.at(in_hours(10)).others == pytest.approx(3_200)
    falling = forecast(limit(others=800), history, NOW)
    assert falling is not None
    assert falling.at(in_hours(10)).others == 0


def test_a_limit_ends_in_the_picture_when_it_ends_in_the_table() -> None:
    """However rtsd came to that: the forecast is full there, and stays full."""
    history = QuotaHistory(usage=[sample(2, 400, 90_000)], ours=[used(23, 400)])
    found = forecast(limit(400, 96_000, exhausted_at=ago(-14 * HOUR_S)), history, NOW)
    assert found is not None
    assert found.ends == in_hours(14) > found.midnight
    assert found.at(in_hours(14)).total == pytest.approx(100_000)
    assert found.at(in_hours(13)).total < 100_000
    totals = [found.at(in_hours(hours)).total for hours in range(15)]
    assert all(before <= after for before, after in pairwise(totals))


def test_a_short_history_is_called_short() -> None:
    """No figure is made of half an hour, unless rtsd itself makes one."""
    history = QuotaHistory(usage=[sample(0.5, 1, 1)], ours=[used(0.5, 1)], idle_day=IdleDay(
        real_time=260, interval=4_032, awaiting_package=3_900
    ))  # fmt: skip
    assert forecast(limit(1, 1), history, NOW) is None
    assert forecast(limit(1, 1), QuotaHistory(), NOW) is None
    assert forecast(limit(1, 1, exhausted_at=ago(-HOUR_S)), history, NOW) is not None
    first, steady, *_ = words(None, limit(1, 1), history, live())
    assert first == SHORT
    assert steady == "A day without changes costs about 260 calls of ours."


@pytest.mark.parametrize(
    ("mode", "calls"), [("real_time", "260"), ("interval", "4,032"), ("awaiting_package", "3,900")]
)
def test_the_steady_state_is_that_of_the_mode(mode: str, calls: str) -> None:
    """And it is said of API requests alone."""
    status = live()
    status.mode = mode
    history = QuotaHistory(idle_day=IdleDay(real_time=260, interval=4_032, awaiting_package=3_900))
    assert f"about {calls} calls of ours" in " ".join(words(None, limit(), history, status))
    assert "without changes" not in " ".join(
        words(None, limit(name="DailyAsyncApexExecutions"), history, status)
    )


def test_a_day_of_interval_sync_that_does_not_fit_says_so() -> None:
    """768,259 calls beside a limit of 100,000 left open whether rtsd stops today."""
    status = live()
    status.mode = "interval"
    history = QuotaHistory(idle_day=IdleDay(real_time=260, interval=768_259, awaiting_package=768_259))
    assert words(None, limit(stops_at=80_000), history, status)[1] == (
        "A day without changes costs about 768,259 calls of ours if all of it is read by Interval Sync,"
        " more than the 80,000 that rtsd may use; with pushes 260."
    )


def test_a_demo_is_not_priced() -> None:
    """It polls every few seconds: 768,259 calls a day are no answer for anybody."""
    status = live()
    status.mode = "interval"
    history = QuotaHistory(idle_day=IdleDay(real_time=260, interval=768_259, awaiting_package=768_259))
    assert words(None, limit(stops_at=80_000), history, status, demo=True)[1] == DEMO


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ({"stops_at": 80_000}, "enough, 54,000 in 24 h"),
        ({"stops_at": 52_000}, "enough for 24 h"),
        ({"stops_at": 40_000, "reached_at": ago(-11 * HOUR_S)}, "rtsd stops 23:34 UTC"),
        ({"stops_at": 30_000, "reached_at": ago(0)}, "rtsd has stopped, at 30,000"),
        ({"exhausted_at": ago(-2 * HOUR_S)}, "used up 14:34 UTC"),
    ],
)
def test_one_sentence_says_whether_it_is_enough(more: dict[str, str | int], end: str) -> None:
    """By midnight and in 24 hours, or when rtsd stops: as table and verdict have it."""
    history = QuotaHistory(usage=[sample(2, 0, 28_400), sample(1, 0, 29_000)])
    shown = limit(others=30_000, **more)  # type: ignore[arg-type]
    found = forecast(shown, history, NOW)
    said = words(found, shown, history, live())[0]
    assert said.endswith(f" ({percent(found.at(found.midnight).total / 100_000)}): {end}.")  # type: ignore[union-attr]


async def test_where_no_hour_was_measured_nothing_says_that_it_lasts() -> None:
    """Table, title and words are of one mind."""
    status = live()
    for each in status.quota.limits:
        each.measured_s = 240
    told = answered(filled(status))
    app = still_app(told, view="5")
    async with app.run_test(size=(120, 45)) as pilot:
        document = app.screen.query_one(UsedPlot).document()
        assert document.value is not None
        document.value.usage = []
        told.rev += 1
        await until(lambda: SHORT in text(app), pilot)
        screen = text(app)
    assert "lasts" not in screen
    assert screen.count("not known yet") == 4
    assert "no forecast yet ─" in screen


def test_the_answer_about_the_cost_warns_of_the_stop() -> None:
    """Not only of the end of the limit: rtsd stops before it."""
    status = live()
    status.quota.limits[0].reached_at = ago(-3_600)
    found = cost(status, NOW)
    assert (found.role, found.facts[1]) == ("warn", "rtsd stops 13:34 UTC")
    status.quota.limits[0].stops_at = 61_000
    assert cost(status, NOW).facts[1] == "rtsd has stopped"


def test_midnight_is_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day of who looks ends then; Salesforce's count has no such moment."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    assert next_midnight(NOW).isoformat() == "2026-03-02T00:00:00+05:30"


async def test_the_picture_has_now_limit_reserve_and_forecast() -> None:
    """With us and others as the table has them, round ticks, and the zone at the foot."""
    app = still_app(answered(filled(live())), view="5")
    async with app.run_test(size=(120, 45)):
        await until(lambda: "of ours by 00:00 UTC" in text(app))
        shown = app.screen.query_one(UsedPlot)
        rows = [plain(row) for row in shown.rows]
        screen = text(app)
    picture = [row for row in rows if "│" in row]
    now = picture[0].index("│")
    assert {row[now] for row in picture} == {"│"}
    assert any("─ limit 100,000 ─" in row for row in picture)
    assert any("╌ reserve: rtsd stops at 80,000 ╌" in row for row in picture)
    assert [row[:5].strip() for row in picture if row[:5].strip()] == [
        "100k",
        "75k",
        "50k",
        "25k",
    ]
    assert not any("•" in row[:now] for row in picture)
    assert any("•" in row[now:] for row in picture)
    assert any("▓" in row[:now] for row in picture)
    assert not any("▓" in row[now:] for row in picture)
    foot = rows[len(picture)]
    assert foot.split()[0] == "0"
    assert foot.index("now") + 2 in range(now - 1, now + 2)
    assert foot.rstrip().endswith("00:00 UTC")
    assert "412 of ours" not in screen
    assert "409 of ours by 00:00 UTC, 73,956 of everybody's (74%): enough for 24 h." in screen, (
        "409: less was used today"
    )


async def test_a_small_screen_has_the_words() -> None:
    """Where there is no room for a plot, its facts are there."""
    app = still_app(answered(filled(live())), view="5")
    async with app.run_test(size=(80, 15)):
        await until(lambda: "At this rate 409 of ours by 00:00 UTC" in text(app))


async def test_deliveries_have_the_same_plot() -> None:
    """Of the stream: the share at which rtsd unsubscribes is the reserve."""
    app = still_app(answered(filled(captured())), view="5")
    async with app.run_test(size=(120, 45)) as pilot:
        await pressed(pilot, "end")
        await until(lambda: "reserve: rtsd stops at 20,000" in text(app))
        assert "rtsd stops at 20,000 ([push] deliveries)" in " ".join(text(app).replace("│", " ").split())
        assert "limit 25,000" in text(app)
        assert "12,410 used (50%)" in text(app)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_ascii_tells_us_others_and_forecast_apart(scenario: str) -> None:
    """In every state of the daemon, by day and by week."""
    app = still_app(answered(filled(SCENARIOS[scenario]())), view="5", ascii_only=True)
    async with app.run_test(size=(100, 40)) as pilot:
        await pressed(pilot, "h")
        assert text(app).replace("\n", "").isascii()
        if "API requests, 7 days" in text(app):
            assert "# us / others . forecast, : of ours" in text(app)
