"""One record explained: its past values, and everything that touched it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from rtsd.control import protocol
from rtsd.control.wire import event
from rtsd.core.image import as_dict
from rtsd.core.instant import to_iso
from rtsd.core.privacy import convert
from rtsd.core.trace import Present, Step, moments, values_before, versions
from rtsd.errors import NotFound
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.store import dead_letters, fetches, journal, mirror, past
from rtsd.store.database import Database
from rtsd.store.journal import Entry
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import Query, Reader
from rtsd.sync.rows import DELETED, read_columns

Values = dict[str, Any]
"""A record's values by column."""


@dataclass(frozen=True, slots=True)
class _Past:
    """A record now, and its applied changes, oldest first."""

    now: protocol.MirrorRecord | None
    entries: list[tuple[Entry, Values | None]]

    def steps(self) -> list[Step]:
        """Return the changes as they are traced back."""
        return [
            Step(entry.at, entry.note.op, entry.note.source, before, _master(entry))
            for entry, before in self.entries
        ]


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
        found = await self._past(mirrored, record_id)
        values: Values = dict(found.now.values or {}) if found.now is not None else {}
        changes = []
        for entry, before in reversed(found.entries):
            changes.append(_change(entry, before, values))
            values = dict(values_before(entry.note.op, before, values) or {})
        return protocol.History(object=mirrored.name, id=record_id, now=found.now, versions=changes[::-1])

    async def record_at(self, mirrored: MirroredObject, record_id: str, at: str) -> protocol.PastRecord:
        """Return a record as it was at a moment. Raises NotFound if it was never seen."""
        found = await self._past(mirrored, record_id)
        steps, now = found.steps(), found.now or protocol.MirrorRecord(state="deleted")
        present = Present(now.values, _cursor(mirrored), now.source, now.seen_at, now.deleted_at, now.master)
        known_since = await past.known_since(self._database, mirrored.name)
        shown = protocol.PastRecord(object=mirrored.name, id=record_id, at=at)
        for version in versions(steps, present, known_since):
            if (
                version.begin is not None
                and version.begin <= at
                and (version.end is None or at < version.end)
            ):
                shown.values, shown.source = dict(version.values), version.source
                shown.unknown = [name for name in mirrored.described.columns if name not in version.values]
                return shown
        earlier = [step for step, since in zip(steps, moments(steps), strict=True) if since <= at]
        if earlier:
            shown.deleted, shown.source = earlier[-1].op == "delete", earlier[-1].source
        elif not steps and now.deleted_at is not None:
            shown.deleted = now.deleted_at <= at
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
        return _Past(now, entries)

    async def _in_org(self, mirrored: MirroredObject, record_id: str) -> protocol.OrgRecord:
        schema = mirrored.described.schema
        query = Query(read_columns(schema), soql.one_of("Id", [record_id]), all_rows=True)
        batches = Reader(self._client, mirrored, "why").rows(query)
        for record in [record async for batch in batches for record in batch.records]:
            values = as_dict(convert(schema, record))
            return protocol.OrgRecord(visible=True, deleted=record.get(DELETED) is True, values=values)
        return protocol.OrgRecord(visible=False)


def _change(entry: Entry, before: Values | None, after: Values) -> protocol.Version:
    """Return a change with the values that it replaced and brought; none of a deletion."""
    replaced = {} if entry.note.op == "delete" else before or {}
    return protocol.Version(
        seq=entry.seq,
        at=entry.at,
        op=entry.note.op,
        source=entry.note.source,
        changed={
            name: protocol.FieldChange(before=old, after=after.get(name)) for name, old in replaced.items()
        },
        master=_master(entry),
    )


def _master(entry: Entry) -> str | None:
    return (entry.note.detail or {}).get("master")


def _cursor(mirrored: MirroredObject) -> str | None:
    return mirrored.table.schema.cursor if mirrored.table else None


def _are_equal(record: protocol.MirrorRecord | None, org: protocol.OrgRecord) -> bool:
    here = record is not None and record.state == "live"
    there = org.visible and not org.deleted
    if not here or not there or record is None:
        return here == there
    return record.values == org.values
