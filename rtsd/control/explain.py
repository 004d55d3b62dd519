"""One record explained: its past values, and everything that touched it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rtsd.control import protocol
from rtsd.control.wire import event
from rtsd.core.image import as_dict
from rtsd.core.instant import to_iso
from rtsd.core.privacy import convert
from rtsd.core.trace import values_before
from rtsd.errors import NotFound
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.store import dead_letters, fetches, journal, mirror
from rtsd.store.database import Database
from rtsd.store.journal import Entry
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import Query, Reader
from rtsd.sync.rows import DELETED, read_columns

Values = dict[str, Any]
"""A record's values by column."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A version, and the values after it; None after a deletion."""

    version: protocol.Version
    values: Values | None


@dataclass(frozen=True, slots=True)
class _Past:
    """A record now, its steps to that, oldest first, and its values before them all."""

    now: protocol.MirrorRecord | None
    steps: list[_Step]
    first: Values


class Explainer:
    """Reads mirror, journal and org for what they tell of one record."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client

    async def record(self, mirrored: MirroredObject, record_id: str) -> protocol.MirrorRecord | None:
        """Return a record as the mirror has it; None if it was never seen."""
        if mirrored.table is None:
            return None
        found = await mirror.record(self._database, mirrored.table, record_id)
        return None if found is None else msgspec.convert(found, protocol.MirrorRecord)

    async def history(self, mirrored: MirroredObject, record_id: str) -> protocol.History:
        """Return a record's versions, each with its source. Raises NotFound if it was never seen."""
        past = await self._past(mirrored, record_id)
        versions = [step.version for step in past.steps]
        return protocol.History(object=mirrored.name, id=record_id, now=past.now, versions=versions)

    async def record_at(self, mirrored: MirroredObject, record_id: str, at: str) -> protocol.PastRecord:
        """Return a record as it was at a moment. Raises NotFound if it was never seen."""
        past = await self._past(mirrored, record_id)
        shown = protocol.PastRecord(object=mirrored.name, id=record_id, at=at)
        earlier = [step for step in past.steps if step.version.at <= at]
        if earlier:
            last = earlier[-1]
            shown.values, shown.deleted = last.values, last.version.op == "delete"
            shown.source = last.version.source
        elif past.first and not _was_created(past.steps) and at >= _stamp(mirrored, past.first):
            # Values that were loaded hold since their stamp; nothing tells the ones before it.
            shown.values = past.first
            shown.source = "audit" if past.steps or past.now is None else past.now.source
        return shown

    async def why(self, mirrored: MirroredObject, record_id: str, *, ask_org: bool = True) -> protocol.Why:
        """Return everything that touched a record, and how mirror and org show it.

        Asking the org takes one call. Without it `org` and `equal` are None: unknown.
        """
        database = self._database
        record = await self.record(mirrored, record_id)
        entries = [entry for entry, _ in await journal.of_record(database, mirrored.name, record_id)]
        org = await self._in_org(mirrored, record_id) if mirrored.table and ask_org else None
        proven_at = mirrored.stored.proven_at
        return protocol.Why(
            object=mirrored.name,
            id=record_id,
            mirror=record,
            org=org,
            equal=None if org is None else _are_equal(record, org),
            events=[event(entry) for entry in entries],
            dead_letters=await dead_letters.count_of(database, mirrored.name, record_id),
            to_be_fetched=await fetches.reason_of(database, mirrored.name, record_id),
            mirrored=protocol.ObjectFacts(
                state=mirrored.state.value,
                error=mirrored.stored.error,
                as_of=mirrored.stored.as_of,
                proven_at=to_iso(proven_at) if proven_at else None,
                conditions=list(mirrored.conditions),
                where=mirrored.config.where,
                privacy=dict(mirrored.config.privacy),
            ),
        )

    async def _past(self, mirrored: MirroredObject, record_id: str) -> _Past:
        now = await self.record(mirrored, record_id)
        entries = [
            (entry, before)
            for entry, before in await journal.of_record(self._database, mirrored.name, record_id)
            if entry.note.type == "change" and entry.note.outcome == "applied"
        ]
        if now is None and not entries:
            raise NotFound(
                f"the mirror has never seen {mirrored.name} {record_id}",
                f"`rtsd repair {mirrored.name} {record_id}` fetches it from Salesforce",
            )
        values = dict(now.values or {}) if now is not None else {}
        steps = []
        for entry, before in reversed(entries):
            steps.append(_step(entry, before, values))
            values = dict(values_before(entry.note.op, before, values) or {})
        return _Past(now, steps[::-1], values)

    async def _in_org(self, mirrored: MirroredObject, record_id: str) -> protocol.OrgRecord:
        schema = mirrored.described.schema
        query = Query(read_columns(schema), soql.one_of("Id", [record_id]), all_rows=True)
        batches = Reader(self._client, mirrored, "why").rows(query)
        for record in [record async for batch in batches for record in batch.records]:
            values = as_dict(convert(schema, record))
            return protocol.OrgRecord(visible=True, deleted=record.get(DELETED) is True, values=values)
        return protocol.OrgRecord(visible=False)


def _step(entry: Entry, before: Values | None, after: Values) -> _Step:
    note = entry.note
    deleted = note.op == "delete"
    replaced = {} if deleted else before or {}
    version = protocol.Version(
        seq=entry.seq,
        at=entry.at,
        op=note.op,
        source=note.source,
        changed={
            name: protocol.FieldChange(before=old, after=after.get(name)) for name, old in replaced.items()
        },
        master=(note.detail or {}).get("master"),
    )
    return _Step(version, None if deleted else dict(after))


def _was_created(steps: Sequence[_Step]) -> bool:
    """Return True if the record did not exist before its first step."""
    return bool(steps) and steps[0].version.op == "create"


def _stamp(mirrored: MirroredObject, values: Values) -> str:
    cursor = mirrored.table.schema.cursor if mirrored.table else None
    return str(values.get(cursor) or "") if cursor else ""


def _are_equal(record: protocol.MirrorRecord | None, org: protocol.OrgRecord) -> bool:
    here = record is not None and record.state == "live"
    there = org.visible and not org.deleted
    if not here or not there or record is None:
        return here == there
    return record.values == org.values
