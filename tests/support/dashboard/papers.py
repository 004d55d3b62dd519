"""Documents that views ask for, at the scenarios' moment, for the fake daemon and for pictures."""

from __future__ import annotations

from typing import Any

from tests.support.dashboard.action_entries import ACTIONS
from tests.support.dashboard.scenarios import ago

CONTACT = "003Dn00000Aq1ZxAAJ"

VALUES: dict[str, Any] = {
    "Id": CONTACT,
    "FirstName": "Ana",
    "LastName": "Oliveira",
    "Email": "ana@acme.example",
    "Phone": None,
    "Title": "Head of Logistics",
    "OwnerId": "005Dn00000Kk1PnIAJ",
    "IsActive__c": 1,
    "Balance__c": 1234.5,
    "Description": "Prefers mail.\nNever before ten; speaks Portuguese, English and some German, "
    "and has asked that nobody calls the warehouse number on Fridays.",
    "SSN__c": "sha256:9f2ac0",
    "SystemModstamp": ago(120),
}

HISTORY: dict[str, Any] = {
    "object": "Contact",
    "id": CONTACT,
    "now": {"state": "live", "values": VALUES, "seen_at": ago(119), "source": "push"},
    "versions": [
        {"seq": 12, "at": ago(86_400 * 3), "op": "create", "source": "audit", "changed": {}, "master": None},
        {
            "seq": 77,
            "at": ago(7_200),
            "op": "update",
            "source": "interval",
            "changed": {"Title": {"from": "Logistics", "to": "Head of Logistics"}},
        },
        {
            "seq": 310,
            "at": ago(120),
            "op": "update",
            "source": "push",
            "changed": {
                "Email": {"from": "ana@old.example", "to": "ana@acme.example"},
                "Phone": {"from": "+351 21 000", "to": None},
            },
        },
    ],
}

WHY: dict[str, Any] = {
    "object": "Contact",
    "id": CONTACT,
    "mirror": {"state": "live", "values": VALUES, "seen_at": ago(119), "source": "push"},
    "org": None,
    "equal": None,
    "events": [
        {
            "seq": 310,
            "at": ago(120),
            "type": "change",
            "object": "Contact",
            "id": CONTACT,
            "op": "update",
            "source": "push",
            "outcome": "applied",
        },
        {
            "seq": 311,
            "at": ago(110),
            "type": "change",
            "object": "Contact",
            "id": CONTACT,
            "op": "update",
            "source": "push",
            "outcome": "stale",
        },
    ],
    "dead_letters": 1,
    "to_be_fetched": None,
    "mirrored": {
        "state": "live",
        "error": None,
        "as_of": ago(2),
        "proven_at": ago(3_900),
        "conditions": ["Email", "Phone"],
        "where": "",
        "privacy": {"SSN__c": "hash"},
    },
}

WHY_COMPARED = WHY | {
    "org": {"visible": True, "deleted": False, "values": VALUES | {"Title": "Director"}},
    "equal": False,
}

AUDITS: dict[str, Any] = {
    "running": [{"object": "Lead", "started_at": ago(40), "rows_read": 81_200, "job": "750xx0000000001"}],
    "findings": [
        {
            "seq": 399,
            "at": ago(30),
            "type": "repair",
            "object": "Task",
            "message": "12 records: the fingerprint differs",
        },
        {
            "seq": 398,
            "at": ago(31),
            "type": "drift",
            "object": "Task",
            "message": "fingerprint: 2 missing, 10 stale, 0 orphaned",
            "detail": {
                "missing": ["00TDn00000Kk1PnAAJ", "00TDn00000Kk1PoAAJ"],
                "stale": ["00TDn00000Kk1PpAAJ"],
                "orphaned": [],
            },
        },
        {
            "seq": 90,
            "at": ago(90_000),
            "type": "audit",
            "object": "Contact",
            "message": "state audit begins: 663,102 rows to read, nothing is left out",
            "detail": {"rows": 663_102},
        },
    ],
}


def missed(number: int = 0) -> dict[str, Any]:
    """What came by no push: by design, and `number` changes that pushes should have brought."""
    by_design = {
        "since": ago(7_200),
        "until": ago(3_700),
        "why": "no sync condition watches the changed fields",
        "missed": False,
        "changes": 3,
        "objects": {"Task": 3},
        "sources": {"interval": 3},
        "first": [_missed_change(back, "Task", "00T") for back in (3, 2, 1)],
    }
    down = {
        "since": ago(12_600),
        "until": None if number < 100 else ago(900),
        "why": "no push for 30m; rtsd was stopped, or restarted",
        "missed": True,
        "changes": number,
        "objects": {"Contact": number},
        "sources": {"interval": number},
        "first": [_missed_change(back, "Contact", "003") for back in range(min(number, 100), 0, -1)],
    }
    spells = [down, by_design] if number else [by_design]
    return {"since": ago(86_400), "missed": number, "spells": spells, "truncated": False}


def _missed_change(back: int, name: str, prefix: str) -> dict[str, Any]:
    record = CONTACT if back == 1 and name == "Contact" else f"{prefix}Dn{back:08d}AaQAI"[:18]
    return {
        "seq": 300 - back,
        "made_at": ago(3_600 + 20 * back),
        "object": name,
        "id": record,
        "op": "update",
        "source": "interval",
    }


RESULT: dict[str, Any] = {
    "columns": ["Id", "Name", "Email", "Score", "Notes"],
    "rows": [
        [f"003Dn{number:08d}AaQAI"[:18], f"Person {number}", None, number * 1.5, "x" * 80]
        for number in range(40)
    ],
    "truncated": True,
}

SCHEMA: dict[str, Any] = {
    "objects": [
        {
            "object": name,
            "table": f'"{name}"',
            "fields": [{"name": field, "type": "string"} for field in ("Id", "Name", *fields)],
        }
        for name, fields in (
            ("Account", ("Industry", "NaicsCode")),
            ("Case", ("CaseNumber", "Subject")),
            ("Contact", ("Email", "EmailBouncedDate", "FirstName", "LastName")),
        )
    ]
}

FOUND: dict[str, Any] = {
    "records": [
        {"object": "Account", "id": "001Dn00000Aq1ZxAAJ", "field": "Name", "value": "Acme", "name": "Acme"},
        {
            "object": "Contact",
            "id": CONTACT,
            "field": "Email",
            "value": "ana@acme.example",
            "name": "Ana Oliveira",
        },
        {
            "object": "Lead",
            "id": "00QDn00000Aq1ZxAAJ",
            "field": "Email",
            "value": "li@acme.example",
            "name": None,
            "state": "deleted",
        },
    ],
    "truncated": False,
}

NOTHING: dict[str, Any] = {"records": [], "truncated": False}

FIELDS = ["Description", "Email", "FirstName", "LastName", "OwnerId", "Phone", "Title"]

PACKAGE: dict[str, Any] = {
    "state": "installed",
    "version": "1.0.0",
    "disabled": False,
    "last_seen_at": ago(20),
    "triggers": [
        {"object": name, "installed": name != "Invoice_Line__c"}
        for name in ("Account", "Contact", "Lead", "Opportunity", "Task", "Invoice_Line__c")
    ],
    "async_used": 40_210,
    "async_max": 250_000,
    "errors_24h": 2,
    "problems": [{"what": "The org pushes to another address.", "do": "Set RTS_Settings__c.Gateway_URL__c."}],
}

RULES: dict[str, Any] = {
    "rules": [
        {
            "name": "webinar-sequence",
            "object": "Lead",
            "on": ["create"],
            "when": "LeadSource = 'Webinar' AND Email IS NOT NULL",
            "action": "webhook",
            "target": "https://example.com/hook",
            "fired_24h": 412,
            "delivered_24h": 410,
            "pending": 2,
            "failed_24h": 5,
            "last_fired_at": ago(12),
        },
        {
            "name": "vip-email",
            "object": "Contact",
            "on": ["update", "delete"],
            "when": "old.Email <> Email",
            "action": "command",
            "target": "/usr/local/bin/notify",
            "fired_24h": 9,
            "delivered_24h": 6,
            "dead_letters": 3,
            "circuit": "open",
            "last_fired_at": ago(4_000),
        },
        {
            "name": "broken",
            "object": "Task",
            "on": ["create"],
            "when": "Gone__c = 1",
            "action": "webhook",
            "target": "https://example.com/x",
            "error": "Task has no field Gone__c",
        },
    ],
    "alerts": [
        {
            "name": "pager",
            "on": ["silent", "unreachable", "drift"],
            "action": "webhook",
            "target": "https://pager.example.com",
            "fired_24h": 1,
            "delivered_24h": 1,
            "last_fired_at": ago(50_000),
        }
    ],
}

TESTED: dict[str, Any] = {
    "rule": "webinar-sequence",
    "since": ago(86_400),
    "considered": 8_120,
    "matched": 2,
    "entries": [
        {
            "seq": 40 + number,
            "at": ago(4_000 - number),
            "type": "change",
            "object": "Lead",
            "id": f"00QDn0000000{number}AaQAI"[:18],
            "op": "create",
            "source": "push",
            "outcome": "applied",
            "changed": ["Email"],
        }
        for number in range(2)
    ],
}


def conditions(name: str, fields: list[str]) -> dict[str, Any]:
    """An object's sync conditions, as read from the org."""
    return {
        "object": name,
        "fields": fields,
        "source": "org",
        "in_org": fields,
        "as_of": ago(600),
        "available": FIELDS,
    }


def quota_history() -> dict[str, Any]:
    """A week of it: days of the use that the status has, an audit in each, and others who come and go."""
    hours = [
        {"at": ago(3600 * back), "purpose": purpose, "calls": calls}
        for back in range(168, 0, -1)
        for purpose, calls in (
            ("audit", 184 if back % 24 == 9 else 0),
            ("interval", 4),
            ("repair", 21 if back % 24 == 9 else 0),
            ("describe", 4 + (9 if back % 24 == 9 else 0)),
            ("package", 1 if back % 4 == 0 else 0),
        )
        if calls
    ]
    usage = [
        {
            "at": ago(3600 * back),
            "name": "DailyApiRequests",
            "max": 100_000,
            "used": 32_620 + 9_000 * ((back * 7) % 11) // 3 + (168 - back) * 40,
            "used_by_us": 412,
        }
        for back in range(168, 0, -1)
    ]
    ours = [{"at": hour["at"], "name": "DailyApiRequests", "used": hour["calls"]} for hour in hours]
    idle = {"real_time": 260, "interval": 4_032, "awaiting_package": 4_032}
    return {"hours": hours, "usage": usage, "ours": ours, "idle_day": idle}


def papers() -> dict[str, Any]:
    """What is answered at which path (the method before it unless it is GET)."""
    record = f"/v1/objects/Contact/records/{CONTACT}"
    return {
        f"{record}/history": HISTORY,
        f"{record}/why": WHY,
        "/v1/audits": AUDITS,
        "/v1/actions": ACTIONS,
        "/v1/missed": missed(),
        "/v1/quota/history": quota_history(),
        "POST /v1/query": RESULT,
        "/v1/package": PACKAGE,
        "/v1/rules": RULES,
        "/v1/find": FOUND,
        "/v1/schema": SCHEMA,
        "POST /v1/rules/webinar-sequence/test": TESTED,
        **{
            f"/v1/objects/{name}/conditions": conditions(
                name, ["Email", "Phone"] if name == "Contact" else []
            )
            for name in ("Account", "Contact", "Lead", "Opportunity", "Task", "Invoice_Line__c")
        },
    }
