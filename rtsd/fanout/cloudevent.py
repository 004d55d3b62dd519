"""A change as a CloudEvents 1.0 document in JSON (contract section 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from rtsd.fanout.changes import RecordChange

CONTENT_TYPE = "application/cloudevents+json"
SUBJECTS = "rts.{org}.>"
"""The subjects of all changes of an org."""


class Data(msgspec.Struct, kw_only=True):
    """A change with the record before and after it, whole, as in the mirror; None where there was none."""

    object: str | None
    id: str | None
    op: str | None
    """create, update, delete or undelete."""
    source: str | None
    """What brought the change: push, interval, audit or repair."""
    changed: Sequence[str] | None
    """The fields that changed."""
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    master: str | msgspec.UnsetType = msgspec.UNSET
    """The winner, where a merge deleted the record."""
    omitted: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Those of before and after that were left out: too large, or not known any more."""


class Document(msgspec.Struct, kw_only=True):
    """A CloudEvents 1.0 document."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    """The number of the change in the journal."""
    source: str
    """`rtsd/` and the org's id."""
    type: str
    """`rts.change.` and the operation."""
    subject: str
    """The object, a slash and the record's id."""
    time: str
    """The commit in the mirror, in UTC."""
    datacontenttype: Literal["application/json"] = "application/json"
    data: Data


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
    return msgspec.json.encode(
        Document(
            id=str(entry.seq),
            source=f"rtsd/{org_id}",
            type=f"rts.change.{note.op}",
            subject=f"{note.object}/{note.id}",
            time=entry.at,
            data=Data(
                object=note.object,
                id=note.id,
                op=note.op,
                source=note.source,
                changed=note.changed,
                before=None if "before" in omitted else change.before,
                after=None if "after" in omitted else change.after,
                master=(note.detail or {}).get("master") or msgspec.UNSET,
                omitted=omitted or msgspec.UNSET,
            ),
        )
    )
