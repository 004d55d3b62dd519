"""The only writer of the mirror: every change, from every source, is judged here by one rule.

`core.change.decide` says which of two changes stands. Rows, tombstones, counts, the journal and the
list of records to fetch are written in the caller's transaction, so that all of it happens or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from rtsd.core.change import (
    UNKNOWN_RECORD,
    Change,
    Decision,
    Operation,
    Outcome,
    Source,
    StoredRecord,
    Version,
    decide,
)
from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.core.privacy import MaskedRows
from rtsd.store import fetches, mirror, mirror_writer
from rtsd.store import objects as records
from rtsd.store.database import Tx
from rtsd.store.journal import Entry, Journal, Note
from rtsd.store.mirror_writer import MirrorRow, Tombstone
from rtsd.store.schema import Table
from rtsd.sync.catalog import Catalog
from rtsd.sync.freshness import Latency
from rtsd.sync.mirrored_object import MirroredObject

_UNREMARKABLE = (Outcome.DUPLICATE, Outcome.STALE)
"""Outcomes of a read that are not worth a line: most rows of a look-back are known already."""

_BOOKKEEPING = frozenset({"SystemModstamp", "LastModifiedDate", "LastModifiedById"})
"""Fields that move with every edit: not worth naming among the changed ones."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of some changes: the journal's entries, and how many records are to be fetched."""

    entries: list[Entry]
    to_fetch: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A change that was applied: its entry, and the record after and before it.

    `old` is None where the mirror did not know the record; of a deletion both are its last values.
    """

    entry: Entry
    new: Mapping[str, Any]
    old: Mapping[str, Any] | None


class ChangeListener(Protocol):
    """The rules that changes fire, in the transaction that applies them."""

    def watches(self, object_name: str) -> bool:
        """Whether anything waits for changes of that object."""

    async def fire(
        self, tx: Tx, mirrored: MirroredObject, found: Sequence[Occurrence], at: Millis
    ) -> list[Entry]:
        """Add the deliveries of the fired rules to the outbox; return the journal entries about them."""


@dataclass(slots=True)
class _Record:
    """One record within a batch: what is known of it, and what is to be written at the end."""

    known: StoredRecord
    stood: Mapping[str, Any] | None
    """The row in the table when the batch began."""
    was_deleted: bool
    write_row: MirrorRow | None = None
    write_stone: Tombstone | None = None
    fetch: str = ""


@dataclass(slots=True)
class _Batch:
    """The changes of one object in one transaction."""

    mirrored: MirroredObject
    table: Table
    records: dict[str, _Record]
    notes: list[Note] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    suspicion: str = ""
    watched: list[tuple[Note, Mapping[str, Any], Mapping[str, Any] | None]] | None = None
    """What was applied, with the record after and before it; None where nothing waits for it."""


class Applier:
    """Applies changes; see the module."""

    def __init__(self, catalog: Catalog, journal: Journal, listener: ChangeListener) -> None:
        self._catalog = catalog
        self._journal = journal
        self._listener = listener

    async def apply(
        self, tx: Tx, changes: Sequence[Change], *, at: Millis, salesforce_now: Millis, quietly: bool = False
    ) -> Applied:
        """Judge and write `changes`, in the order given.

        Publish the entries after the commit only. Every object must be in the catalog, with a table.
        `at` is the local time for the journal, `salesforce_now` the same moment on Salesforce's clock.
        `quietly` keeps rows that are new to the mirror out of the journal: a first load is no news.
        """
        by_object: dict[str, list[Change]] = {}
        for change in changes:
            by_object.setdefault(change.object, []).append(change)
        notes: list[Note] = []
        watched: list[_Batch] = []
        to_fetch = 0
        for name, own in by_object.items():
            batch = await self._judge(tx, self._catalog[name], own, salesforce_now)
            to_fetch += await _write(tx, batch, at)
            notes += [note for note in batch.notes if not (quietly and note.op == "create")]
            _remember(tx, batch, at)
            if batch.watched:
                watched.append(batch)
        entries = await self._journal.append(tx, at, notes)
        if watched:
            entries += await self._fire(tx, watched, entries, at)
        return Applied(entries, to_fetch)

    async def _fire(
        self, tx: Tx, batches: Sequence[_Batch], entries: Sequence[Entry], at: Millis
    ) -> list[Entry]:
        """Hand what was applied, and is in the journal, to what waits for it."""
        by_note = {id(entry.note): entry for entry in entries}
        fired: list[Entry] = []
        for batch in batches:
            found = [
                Occurrence(by_note[id(note)], new, old)
                for note, new, old in batch.watched or ()
                if id(note) in by_note
            ]
            fired += await self._listener.fire(tx, batch.mirrored, found, at)
        return fired

    async def load(self, tx: Tx, mirrored: MirroredObject, rows: MaskedRows, version: Version) -> MaskedRows:
        """Store rows of an audit that the mirror has never heard of; return the others.

        The others have a row or a tombstone already, so they go through `apply`. `version` gives the
        bounds of the observation; the stamps are in the rows.
        """
        table = mirrored.described
        met, fresh = rows.split(await mirror.known_ids(tx, table, rows.ids))
        await mirror_writer.load(tx, table, fresh.columns, fresh.rows, version)
        await records.add_rows(tx, mirrored.name, len(fresh.rows))
        return met

    async def refresh(self, tx: Tx, mirrored: MirroredObject, rows: MaskedRows) -> int:
        """Set some columns of rows that show the same version; return how many rows differed.

        The columns follow Id and the stamp. Nothing of it is news of a record, so nothing goes into the
        journal.
        """
        return await mirror_writer.refresh(tx, mirrored.described, rows.columns[2:], rows.rows)

    async def _judge(
        self, tx: Tx, mirrored: MirroredObject, changes: Sequence[Change], salesforce_now: Millis
    ) -> _Batch:
        table = mirrored.described
        known = await mirror.known(tx, table, {change.id for change in changes})
        batch = _Batch(mirrored, table, {})
        if self._listener.watches(mirrored.name):
            batch.watched = []
        for change in changes:
            record = batch.records.get(change.id)
            if record is None:
                found = known.get(change.id, UNKNOWN_RECORD)
                record = _Record(found, None if found.deleted else found.row, found.deleted)
                batch.records[change.id] = record
            contradicts = _contradicts(record, change, mirrored)
            decision = decide(record.known, change, len(table.columns))
            revived, old = record.known.deleted, record.known.row
            before = _take(record, change, decision, table)
            record.fetch = decision.fetch or record.fetch
            if contradicts:
                batch.suspicion = f"an update of {change.id} came, which the mirror did not know"
            if change.source is Source.PUSH or decision.outcome not in _UNREMARKABLE:
                latency = _latency(change, decision, salesforce_now)
                batch.notes.append(_note(change, decision, before, latency, revived=revived))
                if latency is not None and _happened(change, mirrored):
                    batch.latencies.append((change.source, latency))
                if batch.watched is not None and decision.outcome is Outcome.APPLIED:
                    batch.watched.append((batch.notes[-1], record.known.row or {}, old))
        return batch


def _contradicts(record: _Record, change: Change, mirrored: MirroredObject) -> bool:
    """Whether a push edits what the mirror should have and has not: others may be missing too."""
    unknown = record.known.row is None and not record.known.deleted
    edits = change.source is Source.PUSH and change.operation is Operation.UPDATE
    return unknown and edits and mirrored.loaded and not mirrored.config.where


def _take(record: _Record, change: Change, decision: Decision, table: Table) -> dict[str, Any] | None:
    """Let a record follow a decision; return the values that were replaced, None for a new record."""
    known = record.known
    if decision.outcome is Outcome.DUPLICATE and decision.confirms:
        _confirm(record, change, table)
    if decision.outcome is not Outcome.APPLIED:
        return None
    old = known.row
    if change.operation is Operation.DELETE:
        record.write_row = None
        deleted_at = change.version.stamp
        record.write_stone = Tombstone(
            change.id, change.version, deleted_at, change.master, dict(old) if old else None
        )
        record.known = StoredRecord(change.version, old, deleted=True)
        return dict(old) if old else None
    values = _merged(known, change, table)
    partial = len(change.fields or {}) < len(table.columns)
    record.write_stone = None
    record.write_row = MirrorRow(values, change.version, change.source, partial)
    record.known = StoredRecord(change.version, values, partial=partial)
    return {name: old.get(name) for name in decision.differing} if old and not known.deleted else None


def _confirm(record: _Record, change: Change, table: Table) -> None:
    """The same state was seen later: the version moves up, and with it how much of the row it covers.

    A deletion that names the winner of a merge adds it to the tombstone, whenever it was seen.
    """
    known = record.known
    version = max(known.version, change.version)
    deleted = known.row is None or known.deleted
    partial = len(change.fields or {}) < len(table.columns)
    if deleted:
        record.write_stone = Tombstone(
            change.id, version, version.stamp, change.master, dict(known.row or {}) or None
        )
    else:
        record.write_row = MirrorRow(dict(known.row or {}), version, change.source, partial)
    record.known = StoredRecord(version, known.row, deleted=deleted, partial=partial)


def _merged(known: StoredRecord, change: Change, table: Table) -> dict[str, Any]:
    """The row after the change: an absent column keeps its value; the stamp is the version's."""
    base = known.row or {}
    values = {**base, **(change.fields or {})}
    if table.schema.cursor:
        values[table.schema.cursor] = change.version.stamp
    return values


def _latency(change: Change, decision: Decision, salesforce_now: Millis) -> Millis | None:
    """How late a change is in the mirror; None where it was not applied, or is a row of a full read."""
    if decision.outcome is not Outcome.APPLIED or change.source is Source.AUDIT:
        return None
    return max(salesforce_now - from_iso(change.version.stamp), 0)


def _happened(change: Change, mirrored: MirroredObject) -> bool:
    """Whether a change was made since the object was loaded: what was made before was not late."""
    return from_iso(change.version.stamp) >= mirrored.freshness.loaded_from


def _remember(tx: Tx, batch: _Batch, at: Millis) -> None:
    """Have memory follow the commit."""
    mirrored = batch.mirrored
    if any(note.outcome == Outcome.APPLIED for note in batch.notes):
        tx.on_commit(partial(mirrored.freshness.applied, to_iso(at), batch.latencies))
    if batch.suspicion:
        tx.on_commit(partial(mirrored.suspicions.suspect, batch.suspicion))


def _note(
    change: Change,
    decision: Decision,
    before: dict[str, Any] | None,
    latency: Millis | None,
    *,
    revived: bool,
) -> Note:
    operation = change.operation
    if operation is Operation.READ:
        appeared = Operation.UNDELETE if revived else Operation.CREATE
        operation = appeared if before is None else Operation.UPDATE
    edited = change.changed or [name for name in decision.differing if name not in _BOOKKEEPING]
    is_update = operation is Operation.UPDATE
    return Note(
        type="change",
        object=change.object,
        id=change.id,
        op=operation.value,
        source=change.source.value,
        outcome=decision.outcome.value,
        changed=list(edited) if is_update else None,
        latency_ms=latency,
        message=decision.fetch or change.note or None,
        detail={"master": change.master} if change.master else None,
        before=before,
    )


async def _write(tx: Tx, batch: _Batch, at: Millis) -> int:
    """Write what the batch came to, each record at most once; return how many are to be fetched."""
    rows = [record.write_row for record in batch.records.values() if record.write_row]
    stones = [record.write_stone for record in batch.records.values() if record.write_stone]
    if rows:
        standing = {record_id: one.stood for record_id, one in batch.records.items() if one.stood is not None}
        await mirror_writer.put(tx, batch.table, rows, standing)
    back = [record_id for record_id, one in batch.records.items() if one.was_deleted and one.write_row]
    if back:
        await mirror_writer.remove_tombstones(tx, batch.table, back)
    if stones:
        await mirror_writer.add_tombstones(tx, batch.table, stones)
    came = sum(1 for record in batch.records.values() if record.write_row and record.stood is None)
    went = sum(1 for record in batch.records.values() if record.write_stone and record.stood is not None)
    await records.add_rows(tx, batch.mirrored.name, came - went)
    asked = [(record_id, record.fetch) for record_id, record in batch.records.items() if record.fetch]
    if asked:
        await fetches.ask(tx, batch.mirrored.name, asked, at)
    return len(asked)
