"""The values of some changes in the journal, for the entries that a screen shows.

The journal has the values that a change replaced. What it brought is what the record's next change of the
field replaced, else what the mirror has: each record is followed forwards, over a few changes only, so that
an answer is small and quick whatever happened to the record since. All of its past is in its history.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, whole_number
from rtsd.core.plural import plural
from rtsd.core.schema import MODIFIED_BY, ObjectSchema, without_system_fields
from rtsd.core.values import MirrorValue
from rtsd.errors import UsageError
from rtsd.store import journal, mirror
from rtsd.store.database import Database
from rtsd.store.journal import Entry, Step
from rtsd.sync.catalog import Catalog

MOST = 100
"""Entries in one request: more do not fit on a screen."""
MOST_FIELDS = 10
LONGEST = 100
"""Characters of a value; with this many fields an entry has a few kB at most."""
AHEAD = 20
"""Later changes of a record that are read; a field that changed in none of them is unknown beyond."""

Values = Mapping[str, MirrorValue]


@dataclass(slots=True)
class _Record:
    """A record of which values are wanted: its row, and its changes after the first entry that is shown."""

    schema: ObjectSchema
    row: Values | None = None
    later: Sequence[Step] = ()
    seqs: list[int] = field(default_factory=list)

    def after(self, name: str, seq: int) -> Any:
        """Return a field's value after an entry; UNSET where that is not known."""
        for step in self.later:
            if step.seq > seq:
                if step.replaced is None:
                    return msgspec.UNSET
                if name in step.replaced:
                    return step.replaced[name]
        return msgspec.UNSET if self.row is None or len(self.later) >= AHEAD else self.row.get(name)

    def name(self, replaced: Values) -> str | None:
        """Return the record's name: as it is now, else as it was when the record was deleted."""
        deleted = next((step.replaced for step in self.later if step.op == "delete" and step.replaced), None)
        name = self.schema.name_of(self.row or deleted or replaced)
        return str(_cut(name)) if name else None


class EventValues:
    """Answers `GET /v1/events/values`."""

    def __init__(self, catalog: Catalog, database: Database) -> None:
        self._catalog = catalog
        self._database = database

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/events/values", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        seqs = [whole_number(text, "seq") for text in request.query.get("seq", "").split(",") if text]
        if not 0 < len(seqs) <= MOST:
            raise UsageError(f"seq names {plural(len(seqs), 'entry')}", f"name 1 to {MOST} by their numbers")
        return answer(protocol.EventValues(values=await self._values(seqs)))

    async def _values(self, seqs: Collection[int]) -> list[protocol.ChangeValues]:
        found = await journal.applied(self._database, seqs)
        records: dict[tuple[str, str], _Record] = {}
        for entry, _ in found:
            name, record_id = entry.note.object or "", entry.note.id or ""
            mirrored = self._catalog.find(name)
            if mirrored is not None and mirrored.table is not None:
                record = records.setdefault((name, record_id), _Record(mirrored.table.schema))
                record.seqs.append(entry.seq)
        await self._read(records)
        touched = (
            (records.get((entry.note.object or "", entry.note.id or "")), entry, before)
            for entry, before in found
        )
        return [_values_of(entry, before or {}, record) for record, entry, before in touched if record]

    async def _read(self, records: Mapping[tuple[str, str], _Record]) -> None:
        """Read the rows, and then the later changes: what changes between the two is among the changes."""
        for name in {name for name, _ in records}:
            mirrored = self._catalog[name]
            if mirrored.table is not None:
                ids = [record_id for other, record_id in records if other == name]
                for record_id, row in (await mirror.rows_of(self._database, mirrored.table, ids)).items():
                    records[name, record_id].row = row
        begins = [(name, record_id, min(record.seqs)) for (name, record_id), record in records.items()]
        for (name, record_id), steps in (await journal.next_changes(self._database, begins, AHEAD)).items():
            records[name, record_id].later = steps


def _values_of(entry: Entry, replaced: Values, record: _Record) -> protocol.ChangeValues:
    """Return a change with its values; of a new or a deleted record only its name and who edited it."""
    known = [name for name in replaced if name in record.schema.by_name]
    names = without_system_fields(known) if entry.note.op != "delete" else []
    by = record.after(MODIFIED_BY, entry.seq) if MODIFIED_BY in record.schema.by_name else None
    return protocol.ChangeValues(
        seq=entry.seq,
        name=record.name(replaced),
        by=by if isinstance(by, str) else None,
        changed={
            name: protocol.ValueChange(before=_cut(replaced[name]), after=_cut(record.after(name, entry.seq)))
            for name in names[:MOST_FIELDS]
        },
        more=max(0, len(names) - MOST_FIELDS),
    )


def _cut(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= LONGEST else value[: LONGEST - 1] + "…"
