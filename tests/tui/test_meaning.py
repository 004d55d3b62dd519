"""What the dashboard concludes and says, for every state a daemon can be in."""

from __future__ import annotations

import pytest

from rtsd.control.limits import limit_role
from rtsd.control.protocol import Drift, Freshness, IdleDay, Limit, Status, Store
from rtsd.control.verdict import cost, fresh, right
from rtsd.core.mode import Mode
from rtstui.format import wrap
from rtstui.meaning import MODES, mode_sign, notice, object_sign
from rtstui.rows import plain
from rtstui.state import Phase
from rtstui.widgets.verdicts import answer_row
from tests.support.dashboard.app import filled
from tests.support.dashboard.scenarios import NOW, SCENARIOS, ago, healthy, live

WELL = {"live", "healthy", "captured", "drifting", "repaired"}
"""Scenarios in which nothing stands in the way of a change."""


def test_every_mode_of_the_daemon_has_a_sign() -> None:
    """A mode added to the daemon is given a look; one of a later daemon is shown by its name."""
    assert set(MODES) == {str(mode) for mode in Mode}
    assert mode_sign("warp").text == "? warp"
    assert object_sign("thawing").role == "warn"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_notice_fits_two_lines_of_the_smallest_screen(scenario: str) -> None:
    """The one thing to know first is never cut in half."""
    said = notice(filled(SCENARIOS[scenario]()))
    if scenario in WELL:
        assert said is None
    else:
        assert said is not None
        assert len(wrap(said[0], 78)) <= 2


@pytest.mark.parametrize("mode", MODES)
def test_silent_disabled_paused_and_unreachable_are_told_apart(mode: str) -> None:
    """Each mode has its own sentence, and only real time has none."""
    status = live()
    status.mode, status.mode_since = mode, status.started_at
    said = notice(filled(status))
    assert (said is None) == (mode == "real_time")
    if said:
        others = [notice(filled(_in_mode(other))) for other in MODES if other != mode]
        assert said not in others


def _in_mode(mode: str) -> Status:
    status = live()
    status.mode, status.mode_since = mode, status.started_at
    return status


def test_a_relay_that_is_down_is_named_with_its_remedy() -> None:
    """In real time too, where some changes leave the org by another way."""
    status = SCENARIOS["relay_down"]()
    for mode in ("interval", "real_time"):
        status.mode = mode
        said, role = notice(filled(status)) or ("", "")
        assert "is suspended: nothing is pushed. Setup → Platform Events" in said
        assert role == "warn"
        assert fresh(status, NOW).brief.startswith("relay down, push ")
    status.mode = "disabled"
    assert "RTS is disabled" in (notice(filled(status)) or ("",))[0]


def test_broken_storage_and_a_lost_link_come_first() -> None:
    """What hides everything else is said before everything else."""
    status = live()
    status.mode, status.storage = "interval", "disk full"
    told = filled(status)
    assert "disk full" in (notice(told) or ("",))[0]
    status.store = Store(reachable=False, away_since=ago(75), error="no route to host", as_of=ago(90))
    told = filled(status)
    said = (notice(told) or ("",))[0]
    assert said.startswith("✖ The database has been away since 12:33")
    assert "no route to host" in said
    assert (right(status, NOW).role, fresh(status, NOW).role) == ("error", "error")
    told.relink(Phase.LOST, "gone.")
    assert "Lost" in (notice(told) or ("",))[0]


def test_right_is_green_only_when_everything_is_proven() -> None:
    """Nothing is green while something is broken, drifted, dead or unproven."""
    assert right(healthy(), NOW).role == "ok"
    for scenario, role in (
        ("live", "warn"),
        ("silent", "warn"),
        ("error", "error"),
        ("loading", "busy"),
        ("empty", "off"),
        ("drifting", "warn"),
        ("repaired", "ok"),
    ):
        assert right(SCENARIOS[scenario](), NOW).role == role, scenario


def test_fresh_is_green_only_under_its_goal() -> None:
    """Interval Sync is right but not fresh, and an unreachable org is neither."""
    roles = {name: fresh(SCENARIOS[name](), NOW).role for name in SCENARIOS}
    assert roles == {
        "live": "ok",
        "healthy": "ok",
        "loading": "warn",
        "silent": "warn",
        "relay_down": "warn",
        "empty": "warn",
        "error": "error",
        "deferred": "warn",
        "paused": "off",
        "captured": "ok",
        "stream_down": "warn",
        "drifting": "ok",
        "repaired": "ok",
    }


@pytest.mark.parametrize(
    ("goal", "role", "fact"),
    [
        (640, "ok", "640ms (p95), goal 640ms"),
        (None, "off", "640ms (p95), no goal is stated"),
    ],
)
def test_the_goal_is_stated_beside_what_was_measured(goal: int | None, role: str, fact: str) -> None:
    """A figure is good or bad only by a goal that everybody can read."""
    status = healthy()
    status.fresh_goal_ms = goal
    found = fresh(status, NOW)
    assert (found.role, found.facts[:2]) == (role, ("400ms now", fact))


def test_over_the_goal_the_way_is_said_before_the_long_detail_and_the_key_is_of_the_worst() -> None:
    """At 120 columns "by the gateway" was cut off, and 7 shows no delays: 3 does."""
    status = healthy()
    status.fresh_goal_ms, status.push.missed_24h = 639, 4_043
    found = fresh(status, NOW)
    assert (found.role, found.key) == ("warn", "3 shows")
    assert found.facts[:2] == (
        "400ms now, push 1s ago by the gateway",
        "worst Account 640ms (p95 of the last hour), goal 639ms",
    )
    status.fresh_goal_ms = 640
    found = fresh(status, NOW)
    assert found.key == "7 lists"
    assert "4,043 changes came without a push in 24 h" in found.facts, "not those of the last outage"


def test_where_several_things_are_wrong_the_key_names_the_first() -> None:
    """The line "Contact: being proven again — 4 lists" sent to a view that does not list it."""
    status = SCENARIOS["live"]()
    status.objects[1].state, status.objects[1].progress = "pending", 1.0
    found = right(status, NOW)
    assert found.facts[2] == f"{status.objects[1].name}: proving again"
    assert (found.key, found.subject) == ("4 lists", "dead letters")
    wide, narrow = (" ".join(plain(answer_row("right", found, width)).split()) for width in (140, 110))
    assert wide.endswith("Contact: proving again 4 lists dead letters")
    assert narrow.endswith("changes not applied · … 4 lists")


def test_after_an_outage_the_answer_begins_with_now() -> None:
    """What the outage left in the percentiles is dated, and 61 s are not "1m over 1m"."""
    status = healthy()
    status.objects[4].freshness_ms = Freshness(p50=380, p95=60_001, p99=70_000)
    found = fresh(status, NOW)
    assert (found.role, found.facts[:2]) == (
        "warn",
        ("400ms now, push 1s ago by the gateway", "worst Task 61s (p95 of the last hour), goal 60s"),
    )
    assert (found.brief, found.tiny) == ("p95 61s, push 1s ago", "p95 61s")
    for item in status.objects:
        item.last_change_at = ago(4_000)
    status.fresh_now_ms = None
    assert fresh(status, NOW).facts[0] == "worst Task 61s (p95), goal 60s", "no change in the last hour"


def test_what_was_not_measured_is_not_green() -> None:
    """Before the first change nothing is known, unless the org was proven to be idle."""
    status = healthy()
    status.fresh_now_ms = None
    for item in status.objects:
        item.freshness_ms = None
    assert (fresh(status, NOW).role, fresh(status, NOW).facts[0]) == ("off", "no change measured yet")
    status.push.quiet = "idle"
    assert fresh(status, NOW).role == "ok"


def test_without_a_push_channel_interval_sync_is_no_detour() -> None:
    """An operator who opens no port has chosen it: only the goal counts."""
    status = healthy()
    status.mode, status.push.channel = "interval", ""
    assert (fresh(status, NOW).role, fresh(status, NOW).facts[2]) == ("ok", "by Interval Sync")


@pytest.mark.parametrize(
    ("scenario", "facts", "key"),
    [
        ("drifting", ("7 of 8 proven, oldest 1h ago", "Case: 28 differ, 40s ago"), "A repairs"),
        ("live", ("6 of 6 proven, oldest 1h ago", "3 dead letters: changes not applied"), "4 lists"),
        ("loading", ("1 of 4 proven, 1h ago", "Contact: loading 62%, eta 29s and 2 more objects"), "3 shows"),
        ("repaired", ("8 of 8 proven, oldest 1h ago", "28 records repaired, checked 1h ago"), ""),
    ],
)
def test_the_first_answer_names_the_culprit_and_the_key(
    scenario: str, facts: tuple[str, ...], key: str
) -> None:
    """Who is wrong, by how much, since when, and what to press."""
    found = right(SCENARIOS[scenario](), NOW)
    assert (found.facts, found.key) == (facts, key)


def test_everything_that_is_wrong_is_said_the_worst_first() -> None:
    """A broken object does not hide the rows of another that differ."""
    status = SCENARIOS["silent"]()
    status.objects[1].state, status.objects[1].error = "error", "INVALID_TYPE"
    found = right(status, NOW)
    assert found.role == "error"
    assert found.facts[1:] == (
        "Contact: INVALID_TYPE",
        "Task: 12 differ, 5m ago",
        "3 dead letters: changes not applied",
    )


def test_a_drift_of_one_kind_is_named() -> None:
    """Orphaned rows are another matter than missing ones."""
    status = SCENARIOS["drifting"]()
    status.objects[7].drift = Drift(checked_at=ago(43), orphaned=28)
    assert right(status, NOW).facts[1] == "Case: 28 orphaned, 43s ago"


def test_quota_and_deferral_come_before_silence() -> None:
    """Interval Sync reads while pushes are silent; without calls nothing does."""
    status = SCENARIOS["deferred"]()
    said, role = notice(filled(status)) or ("", "")
    assert said.startswith("✖ API requests 97% used, out 13:34 UTC. Opportunity waits until there is room")
    assert role == "error"
    status.quota.limits[0].remaining = 50_000
    assert (notice(filled(status)) or ("",))[0].startswith("▲ Opportunity waits")


@pytest.mark.parametrize(
    ("remaining", "exhausted", "role"),
    [
        (1_000, None, "ok"),
        (310, None, "ok"),
        (300, None, "warn"),
        (50, None, "error"),
        (0, None, "error"),
        (900, "2026-03-01T13:00:00Z", "warn"),
    ],
)
def test_a_limit_warns_at_70_percent_or_when_it_will_run_out(
    remaining: int, exhausted: str | None, role: str
) -> None:
    """However little is used now: running out today is worth a warning."""
    assert limit_role(Limit(name="x", max=1_000, remaining=remaining, exhausted_at=exhausted)) == role


def test_cost_counts_ours_and_theirs_apart() -> None:
    """A full org is not blamed on us, nor hidden."""
    assert cost(live(), NOW).facts == ("61% used: 412 ours, 60,988 others",)


def test_cost_names_the_limit_in_the_most_trouble() -> None:
    """97 % of the deliveries used is not hidden behind calls that last."""
    status = live()
    status.quota.limits[1].remaining = 300
    found = cost(status, NOW)
    assert found.facts[0] == "Bulk batches 98% used: 67 ours, 1,823 others"
    assert (found.role, found.key) == ("error", "5 shows")


def test_a_configuration_whose_idle_day_is_too_dear_is_not_green() -> None:
    """The words "✔ cost 2% used" stood above a day of 768,259 calls."""
    status = healthy()
    status.mode = "interval"
    status.quota.idle_day = IdleDay(real_time=260, interval=768_259, awaiting_package=768_259)
    found = cost(status, NOW)
    assert (found.role, found.key, found.brief) == ("warn", "5 shows", "idle day 768k of 80k")
    assert found.facts[0] == (
        "a day without changes costs about 768,259 calls, more than the 80,000 that rtsd may use"
    )
    status.mode = "real_time"
    assert cost(status, NOW).role == "ok"
