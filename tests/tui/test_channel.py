"""What the dashboard says of the push channel: its subscription, and what it leaves to Interval Sync."""

from __future__ import annotations

import pytest

from rtsd.control.protocol import Status
from rtsd.control.verdict import DOWN_AFTER_S, fresh
from rtstui import channel
from rtstui.format import shortened
from rtstui.meaning import notice
from rtstui.rows import plain
from rtstui.screens.dialogs import Confirm
from rtstui.widgets.conditions import Fields
from tests.support.dashboard.app import answered, filled, still_app, text, until
from tests.support.dashboard.scenarios import NOW, ago, captured, live, stream_down
from tests.support.dashboard.watching import pressed


def said(status: Status) -> list[str]:
    """The lines on the subscription."""
    assert status.push.stream is not None
    return [plain(row) for row in channel.subscription(status.push.stream, NOW)]


def test_a_subscription_is_told_in_three_lines() -> None:
    """Since when, the last event and the position, deliveries to rtsd and to all."""
    connection, position, deliveries = said(captured())
    assert connection.startswith("● connected since ")
    assert position == "last event 1s ago  position 1s old"
    assert deliveries == "deliveries in 24 h: 12,400 to rtsd, 12,410 of 25,000 to all"


@pytest.mark.parametrize(
    ("hours", "words", "role"),
    [
        (47, "position 1d old", ""),
        (48, "▲ position 2d old: Salesforce keeps 72 h", "warn"),
        (72, "▲ position 3d old: Salesforce has dropped what follows it", "warn"),
        (None, "position not known yet", "dim"),
    ],
)
def test_a_position_warns_before_salesforce_drops_it(hours: int | None, words: str, role: str) -> None:
    """A day before, and when it has happened."""
    status = captured()
    stream = status.push.stream
    assert stream is not None
    stream.replay_age_s = None if hours is None else hours * 3_600
    stream.last_event_at = None
    assert channel.subscription(stream, NOW)[1] == (("last event none yet  ", ""), (words, role))


def test_a_stream_that_is_away_is_said_after_a_minute() -> None:
    """Every stream ends daily; one that stays away is not green, whatever the mode still is."""
    status = captured()
    stream = status.push.stream
    assert stream is not None
    stream.connected, stream.error = False, "No such topic. Select the objects."
    stream.since = ago(DOWN_AFTER_S - 1)
    assert notice(filled(status)) is None
    assert fresh(status, NOW).role == "ok"
    stream.since = ago(DOWN_AFTER_S)
    words, role = notice(filled(status)) or ("", "")
    assert "▲ Change Data Capture is not connected since" in words
    assert "No such topic. Select the objects. Interval Sync reads the changes." in words
    assert role == "warn"
    assert (fresh(status, NOW).role, fresh(status, NOW).tiny) == ("warn", "stream down")
    stream.connected, stream.error, stream.since = None, None, None
    assert said(status)[0] == "◌ waits for the first response"
    assert notice(filled(status)) is None


def test_a_long_error_is_cut_with_a_sign() -> None:
    """And the sentence after it stays whole."""
    words, _ = notice(filled(stream_down())) or ("", "")
    assert "of 24… Interval Sync reads the changes." in words
    assert [shortened(each, 6) for each in ("", "No", "No.", "No topic")] == ["", "No.", "No.", "No to…"]


def test_without_a_channel_nothing_is_missing() -> None:
    """Interval Sync alone is a choice: no push is waited for."""
    status = live()
    status.push.channel, status.mode = "", "interval"
    assert "No push channel is configured" in (notice(filled(status)) or ("",))[0]


@pytest.mark.parametrize(
    ("by", "why"), [("cdc", "not selected in Change Data Capture"), ("gateway", "no Apex trigger")]
)
async def test_an_object_that_is_read_says_why(by: str, why: str) -> None:
    """In its row, in the sum below, and in full on its card; the others name the channel."""
    status = captured()
    status.push.channel = by
    app = still_app(filled(status), view="3")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: "● live, pull" in text(app))
        assert "1 by Interval Sync" in text(app)
        assert "│ changes by  Change Data Capture, last" in text(app) or by != "cdc"
        await pressed(pilot, "end")
        await until(lambda: f"changes by  Interval Sync ({why}), last 1h ago" in text(app))


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("cdc", "Change Data Capture has no sync conditions"),
        ("", "Nothing pushes: there are no sync conditions"),
    ],
)
async def test_a_channel_without_a_package_offers_no_conditions(by: str, why: str) -> None:
    """View 6 says why, instead of fields to choose; so do the keys, which send nothing."""
    status = captured()
    status.push.channel = by
    app = still_app(answered(filled(status)), view="6")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(lambda: why in text(app))
        assert not app.screen.query_one(Fields).keys()
        assert [word for word in ("any change pushes", "space chooses") if word in text(app)] == []
        for key in ("c", "X"):
            await pressed(pilot, key)
            assert not isinstance(app.screen, Confirm)
        assert app.check_action("switch_package", ()) is None
        assert why in app.why_not("switch_package")


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("cdc", "Pushes by Change Data Capture, /data/ChangeEvents"),
        ("", "Interval Sync reads the changes: [push] channel is empty."),
    ],
)
async def test_the_card_tells_of_what_is_there_alone(by: str, wanted: str) -> None:
    """With Change Data Capture no package, and no gateway; without a channel neither."""
    status = captured()
    status.push.channel = by
    status.push.stream = status.push.stream if by else None
    app = still_app(answered(filled(status)), view="6")
    async with app.run_test(size=(80, 24)):
        await until(lambda: wanted in text(app))
        assert [word for word in ("ackage", "trigger", "gateway") if word in text(app)] == []
