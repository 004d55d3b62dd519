"""Changes of the journal, each with the record before and after it.

The journal has the values that a change replaced, not those that it brought. They are in the mirror, or among
those that a later change replaced: each record is traced back from what it is now. Values that changed
without an entry, such as formulas, are taken as they are now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from rtsd.core.image import as_dict
from rtsd.core.trace import Values, values_before
from rtsd.fanout import checkpoints
from rtsd.fanout.checkpoints import Checkpoint, Checkpoints, Record, spans
from rtsd.store import journal, mirror, objects
from rtsd.store.database import Database
from rtsd.store.journal import Entry
from rtsd.store.schema import Table, decode_schema


@dataclass(frozen=True, slots=True)
class RecordChange:
    """An applied change. `before` is None if the record was not in the mirror, `after` if it was deleted."""

    entry: Entry
    before: Values | None
    after: Values | None

    @property
    def record(self) -> Record:
        """The record that it changed."""
        return (self.entry.note.object or "", self.entry.note.id or "")

    @property
    def unknown(self) -> list[str]:
        """Return what is not known: of a record that is not in the mirror, unless it was deleted."""
        if self.entry.note.op == "delete" or self.after is not None:
            return []
        return ["after"] if self.entry.note.op in ("create", "undelete") else ["before", "after"]


class Changes:
    """Reads the journal's changes with the values of their records, for one reader that goes forward."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checkpoints = Checkpoints()
        self.undone = 0
        """Later changes that were read and undone until now: the work of tracing back."""
        self._tables: dict[str, tuple[str, Table]] = {}
        """By the object's name, with the schema that each is made of."""

    async def after(
        self, seq: int, upto: int, limit: int, object_name: str | None = None
    ) -> list[RecordChange]:
        """Return the first `limit` changes after entry `seq` up to `upto`, oldest first."""
        found = await journal.changes(self._database, seq, upto, limit, object_name)
        if not found:
            return []
        last = found[-1][0].seq
        self._checkpoints.pass_by(last)
        states: dict[Record, Values | None] = {}
        for name, ids in _by_object(entry for entry, _ in found).items():
            states |= await self._states(name, ids, last)
        changes = []
        for entry, replaced in reversed(found):
            record = (entry.note.object or "", entry.note.id or "")
            deleted = entry.note.op == "delete"
            after = None if deleted else states[record]
            before = values_before(entry.note.op, replaced, after)
            changes.append(RecordChange(entry, before, after))
            states[record] = before
        return changes[::-1]

    async def _states(self, name: str, ids: Collection[str], seq: int) -> dict[Record, Values | None]:
        """Return the values of an object's records right after entry `seq`."""
        await self._table(name)
        begins: dict[str, Checkpoint] = {}
        for record_id in ids:
            if (known := self._checkpoints.nearest((name, record_id))) is not None:
                begins[record_id] = known
        wanted = set(ids) - begins.keys()
        while wanted:
            newest = await journal.newest_seq(self._database)
            rows = await self._rows(name, wanted)
            now = await journal.newest_seq(self._database)
            moving = {
                step.id for step in await journal.later_changes(self._database, name, wanted, newest, now)
            }  # a row of theirs may be older or newer than its entry: they are read again
            for record_id in wanted - moving:
                begins[record_id] = Checkpoint(newest, rows.get(record_id))
            wanted = moving
        return await self._traced_back(name, begins, seq)

    async def _rows(self, name: str, ids: Collection[str]) -> dict[str, Values]:
        table = await self._table(name)
        rows = await mirror.rows_of(self._database, table, ids) if table else {}
        return {record_id: as_dict(row) for record_id, row in rows.items()}

    async def _table(self, name: str) -> Table | None:
        """Return an object's table as the node that leads has last described it."""
        schema = await objects.schema_of(self._database, name)
        if schema is None:
            return None
        known = self._tables.get(name)
        if known is None or known[0] != schema:
            self._checkpoints.forget(name)
            known = self._tables[name] = schema, Table(decode_schema(schema), self._database.dialect)
        return known[1]

    async def _traced_back(
        self, name: str, begins: Mapping[str, Checkpoint], seq: int
    ) -> dict[Record, Values | None]:
        """Undo the changes of records after entry `seq`, newest first, each from where it begins."""
        states = {record_id: begin.values for record_id, begin in begins.items()}
        undone, kept = Counter[str](), Counter[str]()
        for span in spans([begin.seq for begin in begins.values()], seq):
            active = [record_id for record_id, begin in begins.items() if begin.seq >= span.last]
            for step in await journal.later_changes(self._database, name, active, span.first, span.last):
                states[step.id] = values_before(step.op, step.replaced, states[step.id])
                undone[step.id] += 1
            for record_id in active if span.is_kept else ():
                if undone[record_id] - kept[record_id] >= checkpoints.WORTH:
                    kept[record_id] = undone[record_id]
                    self._checkpoints.add((name, record_id), Checkpoint(span.first, states[record_id]))
        self.undone += undone.total()
        return {(name, record_id): values for record_id, values in states.items()}


def _by_object(entries: Iterable[Entry]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in entries:
        found.setdefault(entry.note.object or "", set()).add(entry.note.id or "")
    return found
