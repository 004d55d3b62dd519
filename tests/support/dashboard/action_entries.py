"""Entries of the action log, as a daemon sends them."""

from __future__ import annotations

from typing import Any

from tests.support.dashboard.scenarios import ago


def action(seq: int, name: str, outcome: str = "done", by: str = "ana", **more: Any) -> dict[str, Any]:
    """An entry of the action log; `object` and `message` are the entry's, the rest are details."""
    top: dict[str, Any] = {key: more.pop(key) for key in ("object", "id") if key in more}
    said = more.get("what", name) if outcome == "done" else f"could not {more.get('what')}"
    detail = {"action": name, "by": by, "program": "rtstui", **more}
    return {
        "seq": seq,
        "at": ago((400 - seq) * 40),
        "type": "action",
        "outcome": outcome,
        "message": f"{by} {said}" + (f": {more['reason']}" if "reason" in more else ""),
        "detail": detail,
        **top,
    }


ACTIONS: dict[str, Any] = {
    "actions": [
        action(398, "pause", object="Contact", what="paused Contact", objects=["Contact"]),
        action(
            390,
            "conditions",
            object="Lead",
            what="set the sync conditions of Lead to Email, Phone, LeadSource",
            before=["Email"],
            after=["Email", "Phone", "LeadSource"],
            api_calls=3,
        ),
        action(381, "drop", what="dropped dead letter 8701"),
        action(
            380,
            "drop",
            "refused",
            what="drop dead letter 8633",
            error="Conflict",
            reason="dead letter 8633 is being sent again; wait until it has arrived or failed again",
        ),
        action(
            371, "audit", "running", by="deploy", program="rtsd", object="Task", what="audit Task", run=17
        ),
        action(
            352,
            "repair",
            by="root",
            program="curl",
            object="Contact",
            id="003Dn00000Aq1ZxAAJ",
            what="repaired Contact 003Dn00000Aq1ZxAAJ",
            fetched=1,
            repaired=1,
            api_calls=1,
        ),
        action(340, "resume", by="root", program="rtsd", what="resumed the whole sync"),
        action(300, "disable", by="uid 54321", program="rtsd", what="disabled the package", changed=True),
    ]
}
