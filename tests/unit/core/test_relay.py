"""The relay: what counts as a failure, and with which remedy; what a heartbeat may say of it."""

from __future__ import annotations

import pytest

from rtsd.core.relay import Relay, from_heartbeat, position_fields

RUNNING = {"relayed": True, "status": "Running", "position": "7", "tip": "-1", "retries": 0}


@pytest.mark.parametrize("status", ["Running", "Idle", "Repartitioning", None, "A new one"])
def test_what_is_no_failure(status: str | None) -> None:
    """A status that nobody knows is shown, and alarms nobody."""
    assert Relay(1, status=status).failure is None


@pytest.mark.parametrize(
    ("relay", "what", "do"),
    [
        (Relay(1, status="Suspended"), "is suspended", "Resume"),
        (Relay(1, status="Expired"), "is suspended", "Resume"),
        (Relay(1, status="Error"), "stopped after errors: nothing", "Resume"),
        (Relay(1, status="Error", last_error="LOCK"), "stopped after errors (LOCK)", "Resume"),
        (Relay(1, status="Missing"), "is not active", "rtsd package deploy"),
        (Relay(1, status="Running", refused="LIMIT"), "refuses the package's events", "HourlyPublished"),
        (Relay(1, status="Running", unanswered_since="T"), "nothing on since T", "Suspend, then Resume"),
        (
            Relay(1, status="Suspended", user="a@b.co", user_active=False),
            "The relay's user, a@b.co, is",
            "Activate",
        ),
    ],
)
def test_each_failure_has_its_remedy(relay: Relay, what: str, do: str) -> None:
    """One sentence says what is wrong, another what to do."""
    assert relay.failure is not None
    assert what in relay.failure.what
    assert do in relay.failure.do


def test_what_a_heartbeat_says() -> None:
    """As sent; what it does not say, or says in another type, is unknown."""
    told = from_heartbeat(RUNNING, 5)
    assert (told.as_of, told.status, told.position, told.tip, told.retries) == (5, "Running", "7", "-1", 0)
    odd = from_heartbeat({"status": 7, "retries": True, "refused": "", "last_error": None}, 5)
    assert odd == Relay(5)


def test_a_user_that_the_org_named_stays_until_the_relay_runs() -> None:
    """A heartbeat knows nothing of users; one that was relayed proves that this one works."""
    before = Relay(1, status="Running", user="a@b.co", user_active=False)
    stuck = from_heartbeat({"relayed": False, "unanswered_since": "T"}, 2, before)
    assert (stuck.user, stuck.user_active) == ("a@b.co", False)
    assert from_heartbeat(RUNNING, 3, stuck).failure is None


@pytest.mark.parametrize(
    ("version", "fields"),
    [("62.0", ("Position", "Tip")), ("66.0", ("LastProcessed", "LastPublished"))],
)
def test_the_fields_of_each_version(version: str, fields: tuple[str, str]) -> None:
    """Renamed in version 66 (Object Reference, EventBusSubscriber)."""
    assert position_fields(version) == fields
