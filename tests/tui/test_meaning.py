"""What the dashboard concludes and says, for every state a daemon can be in."""

from __future__ import annotations

import pytest

from rtsd.control.protocol import Limit, Status, Store
from rtsd.core.mode import Mode
from rtstui.format import wrap
from rtstui.limits import limit_role
from rtstui.meaning import MODES, mode_sign, notice, object_sign
from rtstui.state import Phase
from rtstui.verdict import cost, fresh, right
from tests.support.dashboard.app import filled
from tests.support.dashboard.scenarios import NOW, SCENARIOS, ago, healthy, live


def test_every_mode_of_the_daemon_has_a_sign() -> None:
    """A mode added to the daemon is given a look; one of a later daemon is shown by its name."""
    assert set(MODES) == {str(mode) for mode in Mode}
    assert mode_sign("warp").text == "? warp"
    assert object_sign("thawing").role == "warn"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_notice_fits_two_lines_of_the_smallest_screen(scenario: str) -> None:
    """The one thing to know first is never cut in half."""
    said = notice(filled(SCENARIOS[scenario]()))
    if scenario in {"live", "healthy", "captured", "drifting", "repaired"}:
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


def test_fresh_is_green_only_in_real_time() -> None:
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
    assert cost(live()).full == "412 of 100,000 API calls by us, 60,988 by others (61% used)"
