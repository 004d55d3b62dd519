"""`rtsd dead-letters`: listed, shown, retried with the outcome, dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cli import Rtsd

AT = "2026-03-01T10:00:00.000Z"
LETTER = {"id": 12, "at": AT, "reason": "UnknownObject", "message": "no such object", "object": "Foo"}


def test_dead_letters_are_listed_and_shown(rtsd: Rtsd, daemon: Any) -> None:
    """Without a verb they are listed; one is shown in full; an unknown one is an error."""
    daemon.answers["GET /v1/dead-letters"] = {"dead_letters": [LETTER]}
    assert "12" in rtsd("dead-letters").out
    assert rtsd("dead-letters").out == rtsd("dead-letters", "list").out
    assert "message   no such object" in rtsd("dead-letters", "show", "12").out
    assert json.loads(rtsd("dead-letters", "show", "12", "--json").out)["reason"] == "UnknownObject"
    assert json.loads(rtsd("dead-letters", "--json").out) == {"dead_letters": [LETTER]}
    status, _, err = rtsd("dead-letters", "show", "13")
    assert status == 1
    assert err.startswith("rtsd: There is no dead letter 13.")


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_dead_letters_are_retried_and_dropped(verb: str, rtsd: Rtsd, daemon: Any) -> None:
    """Each id is one request; a refusal by the daemon is told."""
    query = "?wait=1" if verb == "retry" else ""
    for number in (12, 13):
        daemon.answers[f"POST /v1/dead-letters/{number}/{verb}{query}"] = {"outcome": "applied"}
    assert rtsd("dead-letters", verb, "12", "13").status == 0
    assert [call.path for call in daemon.calls] == [
        f"/v1/dead-letters/{number}/{verb}{query}" for number in (12, 13)
    ]
    status, _, err = rtsd("dead-letters", verb, "14")
    assert status == 1
    assert err.startswith("rtsd: no /v1/dead-letters/14")


def test_a_retry_says_how_it_ended(rtsd: Rtsd, daemon: Any) -> None:
    """What failed again is named with the next step, and is status 1; of what waits nothing is claimed."""
    said = {
        12: {"outcome": "applied"},
        13: {
            "outcome": "failed",
            "error": "UnknownObject",
            "reason": "Survey__c is not mirrored",
            "do": "Drop it.",
        },
        14: {"outcome": "waiting"},
        15: {"outcome": "waiting"},
    }
    for number, answer in said.items():
        query = "" if number == 15 else "?wait=1"
        daemon.answers[f"POST /v1/dead-letters/{number}/retry{query}"] = answer
    status, out, _ = rtsd("dead-letters", "retry", "12", "13", "14", "15")
    assert (status, out.splitlines()) == (
        1,
        [
            "Dead letter 12 was applied.",
            "Dead letter 13 failed again: Survey__c is not mirrored. Drop it.",
            "Dead letter 14 is being tried again.",
            "Dead letter 15 is being tried again.",
        ],
    )
    assert rtsd("dead-letters", "retry", "12").status == 0


def test_all_dead_letters_of_a_rule_are_retried_in_their_order(rtsd: Rtsd, daemon: Any) -> None:
    """The oldest first: a record's deliveries keep their order. No rule and no ids is a mistake."""
    mine = [{**LETTER, "id": number, "kind": "delivery", "rule": "crm"} for number in (15, 14)]
    daemon.answers["GET /v1/dead-letters"] = {"dead_letters": [*mine, LETTER]}
    for number in (14, 15):
        daemon.answers[f"POST /v1/dead-letters/{number}/retry?wait=1"] = {"outcome": "delivered"}
    assert rtsd("dead-letters", "retry", "--rule", "crm").status == 0
    assert [call.path for call in daemon.calls[1:]] == [
        "/v1/dead-letters/14/retry?wait=1",
        "/v1/dead-letters/15/retry?wait=1",
    ]
    assert rtsd("dead-letters", "retry", "--rule", "other").status == 1
    assert rtsd("dead-letters", "retry").status == 2
