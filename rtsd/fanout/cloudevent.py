"""A change as a CloudEvents 1.0 document in JSON (contract section 9)."""

from __future__ import annotations

from typing import Any

import msgspec

from rtsd.fanout.changes import RecordChange

CONTENT_TYPE = "application/cloudevents+json"
SUBJECTS = "rts.{org}.>"
"""The subjects of all changes of an org."""


def subject(org_id: str, object_name: str, operation: str) -> str:
    """Return the subject on the wire."""
    return f"rts.{org_id}.{object_name}.{operation}"


def message_id(org_id: str, seq: int) -> str:
    """Return the id by which JetStream recognizes a message that is published again."""
    return f"{org_id}.{seq}"


def document(change: RecordChange, org_id: str, limit: int | None = None) -> tuple[bytes, bool]:
    """Return the document, and whether values had to be left out for its size (bytes).

    `data.omitted` names what was left out, first `before`, then `after`, or what is not known any more.
    """
    omitted = change.unknown
    body, is_cut = _encoded(change, org_id, omitted), False
    for name, values in (("before", change.before), ("after", change.after)):
        if limit is not None and len(body) > limit and values is not None:
            omitted, is_cut = [*omitted, name], True
            body = _encoded(change, org_id, omitted)
    return body, is_cut


def _encoded(change: RecordChange, org_id: str, omitted: list[str]) -> bytes:
    entry, note = change.entry, change.entry.note
    data: dict[str, Any] = {
        "object": note.object,
        "id": note.id,
        "op": note.op,
        "source": note.source,
        "changed": note.changed,
        "before": None if "before" in omitted else change.before,
        "after": None if "after" in omitted else change.after,
    }
    if master := (note.detail or {}).get("master"):
        data["master"] = master
    if omitted:
        data["omitted"] = omitted
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": str(entry.seq),
            "source": f"rtsd/{org_id}",
            "type": f"rts.change.{note.op}",
            "subject": f"{note.object}/{note.id}",
            "time": entry.at,
            "datacontenttype": "application/json",
            "data": data,
        }
    )
