"""The verbs that talk to a daemon: what they ask, what they show, how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from aiohttp import web

Rtsd = Callable[..., Any]
AT = "2026-03-01T10:00:00.000Z"


def test_status_shows_the_stream(rtsd: Rtsd, daemon: Any) -> None:
    """Whether it is connected, its last event, and how the last one ended."""
    shown = daemon.answers["GET /v1/status"] = deepcopy(daemon.answers["GET /v1/status"])
    stream: dict[str, Any] = {"topic": "/event/RTS_Push__e", "connected": None}
    shown["push"] = {**shown["push"], "channel": "stream", "stream": stream}
    assert "channel   stream, /event/RTS_Push__e" in rtsd("status").out
    assert "stream    not connected yet\n          last event never, position not known" in rtsd("status").out
    stream |= {"connected": False, "since": shown["now"], "error": "No such topic. Deploy the package."}
    assert "not connected for 0 ms: No such topic. Deploy" in rtsd("status").out


def test_status_says_that_a_restart_is_due(rtsd: Rtsd, daemon: Any) -> None:
    """A reload has found what it cannot apply: what follows would mislead without that."""
    assert "restart " not in rtsd("status").out
    shown = daemon.answers["GET /v1/status"] = deepcopy(daemon.answers["GET /v1/status"])
    shown["needs_restart"] = ["gateway", "push"]
    assert "restart   due: only that applies the changes in gateway, push" in rtsd("status").out


def test_status_tells_all_at_one_look(rtsd: Rtsd, daemon: Any) -> None:
    """Mode and why, push, package, quota, and each object."""
    status, out, _ = rtsd("status")
    assert status == 0
    assert "mode      real_time since 1 min ago (push received)" in out
    assert "push      last 3 s ago, live" in out
    assert "package   installed 1.0.0 seen 0 ms ago" in out
    assert "quota     DailyApiRequests: 1,789 of 100,000, 12 by rtsd" in out
    assert "1,234,567" in out
    assert "\x1b" not in out + rtsd("objects").out
    assert "\x9b" not in out
    assert r"Acme\x1b[2J" in out


def test_live_says_as_of_when_while_the_org_is_away(rtsd: Rtsd, daemon: Any) -> None:
    """Nothing is proven meanwhile: the state is that of a moment, and it names it."""
    shown = daemon.answers["GET /v1/status"] = deepcopy(daemon.answers["GET /v1/status"])
    shown["mode"] = "unreachable"
    for as_of, expected in [
        ("2026-03-01T08:15:30.000Z", "live as of 08:15 UTC"),
        ("2026-02-27T23:40:00.000Z", "live as of 2026-02-27 23:40 UTC"),
    ]:
        shown["objects"][0]["as_of"] = as_of
        assert expected in rtsd("status").out
        assert expected in rtsd("objects").out
        assert "Lead     incomplete" in rtsd("status").out


def test_a_relay_is_shown_with_its_problem(rtsd: Rtsd, daemon: Any) -> None:
    """Its status, as whom it runs, when it was last proven; the problem with its remedy below."""
    shown = daemon.answers["GET /v1/status"] = deepcopy(daemon.answers["GET /v1/status"])
    problem = {"what": "The relay is suspended.", "do": "Resume it."}
    proven = {"status": "Suspended", "user": "sync@acme.com", "proven_at": "2026-03-01T09:00:00.000Z"}
    shown["package"] |= {"relay": {**proven, "problem": problem}, "problems": [problem]}
    out = rtsd("status").out
    assert "relay     Suspended, runs as sync@acme.com, proven 1 h ago" in out
    assert "          The relay is suspended. Resume it." in out


def test_json_is_what_the_daemon_sent(rtsd: Rtsd, daemon: Any) -> None:
    """Also keys that this version does not know: a script may."""
    assert json.loads(rtsd("status", "--json").out) == daemon.answers["GET /v1/status"]


def test_objects_are_a_table(rtsd: Rtsd, daemon: Any) -> None:
    """Numbers stand to the right, what is not known is a dash."""
    lines = rtsd("objects").out.splitlines()
    assert lines[0].split("  ")[0] == "OBJECT"
    assert lines[1].split() == [
        "Contact",
        "live",
        "interval",
        "1,234,567",
        "1,234,567",
        "2",
        "s",
        "ago",
        "640",
        "ms",
        "3",
        "-",
    ]
    assert lines[2].split()[:5] == ["Lead", "incomplete", "interval", "5", "7"]
    column = lines[0].index("ROWS") + len("ROWS")
    assert lines[1][:column].endswith("1,234,567")
    assert lines[2][:column].endswith(" 5")
    assert [mirrored["name"] for mirrored in json.loads(rtsd("objects", "--json").out)["objects"]] == [
        "Contact",
        "Lead",
    ]


def test_quota_shows_limits_and_calls(rtsd: Rtsd, daemon: Any) -> None:
    """Both tables, and both in JSON."""
    out = rtsd("quota").out
    assert "DailyApiRequests  100,000     98,211       12" in out
    assert "audit" in out
    assert json.loads(rtsd("quota", "--json").out)["calls_24h"] == {"audit": 4, "describe": 5}


def test_errors_are_listed_or_denied(rtsd: Rtsd, daemon: Any) -> None:
    """No errors is a sentence, not an empty table."""
    daemon.answers["GET /v1/errors"] = {"errors": []}
    assert rtsd("errors").out == "No errors.\n"
    daemon.answers["GET /v1/errors"] = {
        "errors": [{"seq": 1, "at": AT, "error": "OrgUnreachable", "message": "no\nanswer", "count": 3}]
    }
    assert rtsd("errors").out.splitlines()[1].endswith(r"OrgUnreachable  -           3  no\nanswer")


def test_rules_are_listed_with_what_is_wrong(rtsd: Rtsd, daemon: Any) -> None:
    """Rules and alerts in one table; an error in words; no rule at all is said."""
    rule = {
        "name": "crm",
        "object": "Lead",
        "on": ["create"],
        "target": "https://a.b/c",
        "error": "no column \x1b[2J",
    }
    daemon.answers["GET /v1/rules"] = {
        "rules": [rule],
        "alerts": [{"name": "alerts[1]", "on": ["silent", "drift"]}],
    }
    out = rtsd("rules").out
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "crm", "alerts[1]", "crm"]
    assert "silent drift" in out
    assert "\x1b" not in out
    assert json.loads(rtsd("rules", "--json").out)["rules"] == [rule]
    daemon.answers["GET /v1/rules"] = {"rules": [], "alerts": []}
    assert rtsd("rules", "list").out == "No rules and no alerts are configured.\n"


def test_a_rule_is_tested_since_a_moment_or_for_a_while(rtsd: Rtsd, daemon: Any) -> None:
    """Both forms of --since reach the daemon as a moment; what is neither is a mistake."""
    entry_of = {"seq": 7, "at": AT, "type": "change", "op": "create", "object": "Lead", "id": "00Q1"}
    answer = {"rule": "crm", "since": AT, "considered": 1200, "matched": 1, "entries": [entry_of]}
    daemon.answers["POST /v1/rules/crm/test"] = answer
    status, out, _ = rtsd("rules", "test", "crm", "--since", "2026-03-01T11:00:00+01:00")
    assert status == 0
    assert daemon.calls[-1].body == {"since": "2026-03-01T10:00:00.000Z"}
    assert out.splitlines()[-1] == f"crm would have fired for 1 of 1,200 changes since {AT}."
    assert rtsd("rules", "test", "crm", "--since", "7d").status == 0
    assert daemon.calls[-1].body["since"].endswith("Z")
    assert rtsd("rules", "test", "crm", "--since", "yesterday").status == 2


def audited(name: str, **found: Any) -> dict[str, Any]:
    """Return a daemon's answer to an audit."""
    none = {"missing": [], "stale": [], "orphaned": [], "repaired": 0, "api_calls": 3, "bulk_jobs": 0}
    return {"objects": [{"name": name, "checked": 10, "seconds": 0.25, **none, **found}], "api_calls": 3}


def test_an_audit_covers_all_objects_and_adds_up(rtsd: Rtsd, daemon: Any) -> None:
    """Without names every mirrored object; exit 1 only for what is found and not repaired."""
    for name in ("Contact", "Lead"):
        daemon.answers[f"POST /v1/objects/{name}/audit?wait=1"] = audited(name)
    status, out, _ = rtsd("audit", "--json")
    answer = json.loads(out)
    assert status == 0
    assert [mirrored["name"] for mirrored in answer["objects"]] == ["Contact", "Lead"]
    assert answer["api_calls"] == 6
    daemon.answers["POST /v1/objects/Lead/audit?wait=1"] = audited("Lead", missing=["00Q"], repaired=1)
    assert rtsd("audit", "Lead", "--full").status == 0
    assert daemon.calls[-1].body == {"full": True, "dry_run": False}
    daemon.answers["POST /v1/objects/Lead/audit?wait=1"] = audited("Lead", stale_count=5000, repaired=1)
    status, out, _ = rtsd("audit", "Lead")
    assert status == 1
    assert "5,000" in out
    daemon.answers["POST /v1/objects/Lead/audit?wait=1"] = audited(
        "Lead", state="incomplete", error="a slice was not read"
    )
    status, _, err = rtsd("audit", "Lead")
    assert (status, err) == (1, "Lead is incomplete: a slice was not read\n")


def test_an_audit_is_priced(rtsd: Rtsd, daemon: Any) -> None:
    """--dry-run adds the prices of the objects up and shows them for people, too."""
    price = {
        "estimate": {
            "rows": 1000,
            "api_calls": 7,
            "bulk_jobs": 1,
            "mb": 0.5,
            "minutes": 0.1,
            "share_of_daily": {"DailyApiRequests": 0.25},
        },
        "problems": [{"what": "too much", "do": "wait"}],
    }
    daemon.answers["POST /v1/objects/Contact/audit"] = price
    daemon.answers["POST /v1/objects/Lead/audit"] = price | {"problems": []}
    status, out, _ = rtsd("audit", "--dry-run", "--json")
    priced = json.loads(out)
    assert status == 1
    assert priced["estimate"]["rows"] == 2000
    assert priced["estimate"]["share_of_daily"] == {"DailyApiRequests": 0.5}
    assert priced["problems"] == [{"what": "too much", "do": "wait"}]
    status, out, _ = rtsd("audit", "Lead", "--dry-run")
    assert status == 0
    assert out.splitlines() == [
        "audit     1,000 rows, 0.5 MB, 0.1 min, 7 API calls, 1 bulk job",
        "          0.25 % of DailyApiRequests a day",
    ]


def test_a_price_has_the_calls_of_repairs_too(rtsd: Rtsd, daemon: Any) -> None:
    """They are added up as well; of an older daemon, which has none, the calls are those it has."""
    estimate = {"rows": 1, "api_calls": 1, "api_calls_with_repairs": 9, "bulk_jobs": 0}
    daemon.answers["POST /v1/objects/Contact/audit"] = {"estimate": estimate}
    daemon.answers["POST /v1/objects/Lead/audit"] = {"estimate": {"rows": 1, "api_calls": 2}}
    status, out, _ = rtsd("audit", "Contact", "--dry-run")
    assert (status, out) == (
        0,
        "audit     1 row, 0.0 MB, 0.0 min, 1 API call (up to 9 with repairs), 0 bulk jobs\n",
    )
    priced = json.loads(rtsd("audit", "--dry-run", "--json").out)["estimate"]
    assert (priced["api_calls"], priced["api_calls_with_repairs"]) == (3, 11)
    daemon.answers["POST /v1/verify"] = {"estimate": estimate}
    assert rtsd("verify", "--dry-run").out.startswith("verify    1 row, 0.0 MB, 0.0 min, 1 API call (up to 9")
    assert daemon.calls[-1].body["dry_run"] is True


def test_repair_sends_whole_ids(rtsd: Rtsd, daemon: Any) -> None:
    """15 characters become 18; what is no id is told before anything is asked."""
    daemon.answers["POST /v1/objects/Contact/repair"] = {"fetched": 1, "repaired": 1, "api_calls": 1}
    assert rtsd("repair", "Contact", "003xx000004TmiQ").status == 0
    assert daemon.calls[-1].body == {"ids": ["003xx000004TmiQAAS"]}
    status, _, err = rtsd("repair", "Contact", "003")
    assert status == 2
    assert err.startswith("rtsd: '003' is not a Salesforce id")
    assert len(daemon.calls) == 1


def test_repair_of_a_time_or_a_field(rtsd: Rtsd, daemon: Any) -> None:
    """Each is sent as it is meant, a price is shown on request, and two at once are refused."""
    estimate = {"rows": 10, "api_calls": 2, "bulk_jobs": 0, "mb": 0.0, "minutes": 0.1, "share_of_daily": {}}
    daemon.answers["POST /v1/objects/Lead/repair"] = {"estimate": estimate, "problems": []}
    status, out, _ = rtsd("repair", "Lead", "--since", "2026-03-01T10:00:00Z", "--dry-run")
    assert (status, daemon.calls[-1].body) == (0, {"since": "2026-03-01T10:00:00Z", "dry_run": True})
    assert out.startswith("repair    10 rows")
    daemon.answers["POST /v1/objects/Lead/repair"] = {"fetched": 9, "repaired": 2, "api_calls": 5}
    status, out, _ = rtsd("repair", "Lead", "--field", "Email", "--field", "Phone")
    assert (status, daemon.calls[-1].body) == (0, {"fields": ["Email", "Phone"]})
    assert out == "9 records of Lead fetched, 2 differed; 5 API calls.\n"
    assert rtsd("repair", "Lead", "003xx000004TmiQ", "--field", "Email").status == 2
    assert rtsd("repair", "Lead", "003xx000004TmiQ", "--until", "2026-03-01T10:00:00Z").status == 2


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_pausing_names_objects_or_everything(verb: str, rtsd: Rtsd, daemon: Any) -> None:
    """Both are said back."""
    daemon.answers[f"POST /v1/{verb}"] = {}
    assert "everything" in rtsd(verb).out
    assert "Contact, Lead" in rtsd(verb, "Contact", "Lead").out
    assert [call.body for call in daemon.calls] == [{"objects": []}, {"objects": ["Contact", "Lead"]}]


def conditions(name: str, *fields: str) -> dict[str, Any]:
    """Return a daemon's answer on sync conditions."""
    return {"object": name, "fields": list(fields), "source": "org", "in_org": list(fields), "as_of": AT}


def test_conditions_are_shown_for_every_object(rtsd: Rtsd, daemon: Any) -> None:
    """Without a verb all; with names those; none is any field."""
    daemon.answers["GET /v1/objects/Contact/conditions"] = conditions("Contact", "Email", "OwnerId")
    daemon.answers["GET /v1/objects/Lead/conditions"] = conditions("Lead")
    assert rtsd("conditions").out.splitlines()[1:] == [
        f"Contact  Email, OwnerId          org   {AT}",
        f"Lead     any field               org   {AT}",
    ]
    assert "Lead" not in rtsd("conditions", "show", "Contact").out
    assert json.loads(rtsd("conditions", "show", "Lead", "--json").out)["conditions"][0]["fields"] == []


def test_conditions_are_set_and_cleared(rtsd: Rtsd, daemon: Any) -> None:
    """Each is one PUT of all the fields; a refusal names what is allowed and is 2."""
    daemon.answers["PUT /v1/objects/Contact/conditions"] = conditions("Contact", "Email")
    assert rtsd("conditions", "set", "Contact", "Email") == (
        0,
        "Contact is pushed only when Email changes.\n",
        "",
    )
    assert daemon.calls[-1].body == {"fields": ["Email"]}
    daemon.answers["PUT /v1/objects/Contact/conditions"] = conditions("Contact")
    assert rtsd("conditions", "clear", "Contact").out == "Contact is pushed whatever changes.\n"
    assert daemon.calls[-1].body == {"fields": []}
    refusal = {"error": "UsageError", "message": "Contact has no field Emial. Allowed are: Email."}
    daemon.answers["PUT /v1/objects/Contact/conditions"] = web.json_response(refusal, status=400)
    assert rtsd("conditions", "set", "Contact", "Emial") == (
        2,
        "",
        "rtsd: Contact has no field Emial. Allowed are: Email.\n",
    )
    assert rtsd("conditions", "set", "Contact").status == 2


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_pausing_speaks_json(rtsd: Rtsd, daemon: Any, verb: str) -> None:
    """What was paused or resumed, as the daemon answers it."""
    daemon.answers[f"POST /v1/{verb}"] = {f"{verb}d": ["Contact"]}
    status, out, _ = rtsd(verb, "Contact", "--json")
    assert (status, json.loads(out)) == (0, {f"{verb}d": ["Contact"]})


def test_a_mistyped_id_is_told(rtsd: Rtsd, daemon: Any) -> None:
    """The checksum shows it before anything is fetched."""
    status, _, told = rtsd("repair", "Contact", "003xx000004TmiQAAT")
    assert status == 2
    assert "last three characters" in told
