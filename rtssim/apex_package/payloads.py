"""Push payloads: the rows of a commit's changes, read back from the database just before sending."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from rtssim.apex_package.callouts import push_stamp
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from rtssim.interface import RowChange
    from rtssim.org import Org

PUSH_BYTES = 6_000_000  # the synchronous heap limit (Apex Developer Guide, Governors and Limits)
UNREADABLE_TYPES = ("address", "location", "base64")
AUDIT_FIELDS = ("SystemModstamp", "LastModifiedDate", "LastModifiedById")


@dataclass
class Push:
    """A message with several changes; `id` stays the same over all retries."""

    document: dict[str, Any]
    changes: Sequence[RowChange]
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")


def changed_fields(change: RowChange) -> list[str]:
    """Return the names of the fields that an update changed, without audit fields."""
    old, new = change.old or {}, change.new or {}
    return [name for name in new if old.get(name) != new[name] and name not in AUDIT_FIELDS]


class PushBuilder:
    """Builds pushes from rows as the system sees them: also those hidden from the sync user."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._system = org.sync_user
        self._fields: dict[str, tuple[datetime, list[str]]] = {}

    def pushes(self, changes: Sequence[RowChange], by: str) -> list[Push]:
        """Return the push for some changes, or several pushes if a single one would be too large."""
        head = {
            "v": 1,
            "kind": "changes",
            "org": self._org.org_id,
            "read_at": push_stamp(self._org.clock.now()),
        }
        rows = self._read_back(changes)
        return [
            Push({**head, "changes": documents}, part)
            for part, documents in self._parts([(c, self._document(c, rows, by)) for c in changes])
        ]

    def _parts(
        self, changes: Sequence[tuple[RowChange, dict[str, Any]]]
    ) -> Iterator[tuple[list[RowChange], list[dict[str, Any]]]]:
        part: tuple[list[RowChange], list[dict[str, Any]]] = ([], [])
        room = PUSH_BYTES
        for change, document in changes:
            size = len(msgspec.json.encode(document))
            if size > PUSH_BYTES:  # too large even alone: the receiver fetches the row by its id
                del document["fields"]
                size = 0
            if size > room:
                yield part
                part, room = ([], []), PUSH_BYTES
            part[0].append(change)
            part[1].append(document)
            room -= size
        yield part

    def _read_back(self, changes: Iterable[RowChange]) -> dict[tuple[str, str], dict[str, Any]]:
        by_object: dict[str, list[str]] = {}
        for change in changes:
            if change.op != "delete":
                by_object.setdefault(change.object, []).append(change.id)
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for name, ids in by_object.items():
            try:
                records = self._org.retrieve(self._system, name, ids, self._fields_of(name))
            except OrgError:  # the object has been removed since
                continue
            for record_id, record in zip(ids, records, strict=True):
                if record is not None:
                    record.pop("attributes", None)
                    rows[name, record_id] = record
        return rows

    def _fields_of(self, name: str) -> list[str]:
        stamp = self._org.described_at()
        known = self._fields.get(name)
        if known is None or known[0] != stamp:
            described = self._org.describe(self._system, name)[0]["fields"]
            known = (stamp, [f["name"] for f in described if f["type"] not in UNREADABLE_TYPES])
            self._fields[name] = known
        return known[1]

    def _document(
        self, change: RowChange, rows: dict[tuple[str, str], dict[str, Any]], by: str
    ) -> dict[str, Any]:
        document: dict[str, Any] = {
            "object": change.object,
            "op": change.op,
            "id": change.id,
            "modstamp": push_stamp(change.modstamp),
            "by": by,
        }
        if change.op == "update" and change.new is not None:
            document["changed"] = changed_fields(change)
        if change.op == "delete":
            if change.master_id is not None:
                document["master"] = change.master_id
            return document
        record = rows.get((change.object, change.id))
        if record is not None:
            document["fields"] = record
        return document
