"""The only writer of the mirror: applies every change, from every source, by one rule.

`core.change.decide` decides which of two changes wins. Rows, tombstones, counts, the journal and the requests
to fetch records are written in the caller's transaction, all or nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec

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
    version_after,
)
from rtsd.core.image import Fields, Image, as_dict
from rtsd.core.instant import Millis, from_iso
from rtsd.core.privacy import MaskedRows, MaskedText
from rtsd.store import fetches, mirror, mirror_writer
from rtsd.store import objects as records
from rtsd.store.database import Tx
from rtsd.store.journal import Entry, Journal, Note
from rtsd.store.mirror_writer import MirrorRow, Tombstone
from rtsd.store.schema import Table
from rtsd.sync.catalog import Catalog
from rtsd.sync.fitting import unfit_rows
from rtsd.sync.freshness import Latency
from rtsd.sync.mirrored_object import MirroredObject

_UNREMARKABLE = (Outcome.DUPLICATE, Outcome.STALE)
"""Outcomes of a read that are not journalled: the mirror already has most rows of a look-back."""

_BOOKKEEPING = frozenset({"SystemModstamp", "LastModifiedDate", "LastModifiedById"})
"""Fields that change with every edit, and are therefore not listed among the changed ones."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of applying changes: the journal entries, and the number of records to fetch."""

    entries: list[Entry]
    to_fetch: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An applied change: its journal entry, and the record after (`new`) and before it (`old`).

    `old` is None for a record that was not in the mirror. For a deletion both are the record's last values.
    """

    entry: Entry
    new: Mapping[str, Any]
    old: Mapping[str, Any] | None


class ChangeListener(Protocol):
    """The rules that changes fire, matched in the transaction that applies the changes."""

    def watches(self, object_name: str) -> bool:
        """Return whether any rule matches changes of the object."""

    async def fire(
        self, tx: Tx, mirrored: MirroredObject, found: Sequence[Occurrence], at: Millis
    ) -> list[Entry]:
        """Add the deliveries of the fired rules to the outbox; return their journal entries."""


class _Record(msgspec.Struct, gc=False):
    """One record within a batch: its current state, and the writes due at the end of the batch."""

    known: StoredRecord
    initial_row: Mapping[str, Any] | None
    """The row in the table at the start of the batch."""
    was_deleted: bool
    changed: set[str] = msgspec.field(default_factory=set)
    """Columns that this batch has changed."""
    write_row: MirrorRow | None = None
    write_tombstone: Tombstone | None = None
    was_partial: bool = False
    fetch: str = ""
    complete: bool = False
    """Whether a change has left it partial, which has to be read."""


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
    """Applied changes as (note, new record, old record); None if no rule watches the object."""


class Applier:
    """Applies changes (see the module)."""

    def __init__(self, catalog: Catalog, journal: Journal, listener: ChangeListener) -> None:
        self._catalog = catalog
        self._journal = journal
        self._listener = listener

    async def apply(
        self, tx: Tx, changes: Sequence[Change], *, at: Millis, salesforce_now: Millis, quietly: bool = False
    ) -> Applied:
        """Apply `changes` in the given order.

        The caller publishes the entries, after the commit. Every object must be in the catalog, with a table.
        `at` is the local time for the journal, `salesforce_now` the same moment on Salesforce's clock, in ms.
        `quietly` keeps new rows out of the journal, as during a first load.
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
            _update_on_commit(tx, batch, at)
            if batch.watched:
                watched.append(batch)
        entries = await self._journal.append(tx, at, notes)
        if watched:
            entries += await self._fire(tx, watched, entries, at)
        return Applied(entries, to_fetch)

    async def _fire(
        self, tx: Tx, batches: Sequence[_Batch], entries: Sequence[Entry], at: Millis
    ) -> list[Entry]:
        """Pass journalled changes to the rules that watch them; return the entries of fired rules."""
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

    async def load(
        self, tx: Tx, mirrored: MirroredObject, rows: MaskedRows | MaskedText, version: Version
    ) -> MaskedRows:
        """Insert the rows of an audit that the mirror does not know; return the others.

        The others already have a row or a tombstone: pass them to `apply`. `version` gives the bounds of the
        observation; the stamps are in the rows.
        """
        table = mirrored.described
        if isinstance(rows, MaskedText):
            if await mirror_writer.load_text(tx, table, rows, version):
                await records.add_rows(tx, mirrored.name, rows.count)
                return rows.no_rows()
            rows = await rows.rows()
        known, new = rows.split(await mirror.known_ids(tx, table, rows.ids))
        try:
            await mirror_writer.load_rows(tx, table, new.columns, new.rows, version)
        except tx.refusals as error:
            raise unfit_rows(mirrored, new.columns, new.rows) from error
        await records.add_rows(tx, mirrored.name, len(new.rows))
        return known

    async def refresh(self, tx: Tx, mirrored: MirroredObject, rows: MaskedRows) -> int:
        """Update some columns of rows whose version is unchanged; return the number of rows that differed.

        The columns follow Id and the stamp. Nothing is journalled, as no record was edited in the org.
        """
        try:
            return await mirror_writer.refresh(tx, mirrored.described, rows.columns[2:], rows.rows)
        except tx.refusals as error:
            raise unfit_rows(mirrored, rows.columns, rows.rows) from error

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
                row = None if found.deleted else found.row
                record = _Record(found, row, found.deleted, was_partial=found.partial)
                batch.records[change.id] = record
            contradicts = _contradicts(record, change, mirrored)
            decision = decide(record.known, change, len(table.columns), table.schema.untold)
            revived, old = record.known.deleted, record.known.row
            before = _apply_decision(record, change, decision, table)
            record.fetch = decision.fetch or record.fetch
            record.complete |= decision.complete
            if contradicts:
                batch.suspicion = f"an update arrived for {change.id}, which is not in the mirror"
            if change.source is Source.PUSH or decision.outcome not in _UNREMARKABLE:
                latency = _latency(change, decision, salesforce_now)
                batch.notes.append(_note(change, decision, before, latency, revived=revived))
                if latency is not None and _is_since_load(change, mirrored):
                    batch.latencies.append((change.source, latency))
                if batch.watched is not None and decision.outcome is Outcome.APPLIED:
                    batch.watched.append((batch.notes[-1], record.known.row or {}, old))
        return batch


def _contradicts(record: _Record, change: Change, mirrored: MirroredObject) -> bool:
    """Return whether a push updates a record that should be in the mirror but is not."""
    unknown = record.known.row is None and not record.known.deleted
    edits = change.source is Source.PUSH and change.operation is Operation.UPDATE
    return unknown and edits and mirrored.loaded and not mirrored.config.where


def _apply_decision(
    record: _Record, change: Change, decision: Decision, table: Table
) -> dict[str, Any] | None:
    """Update a record as decided; return the values that were replaced, None for a new record."""
    known = record.known
    if decision.outcome is Outcome.DUPLICATE and decision.confirms:
        _confirm(record, change, decision, table)
    if decision.outcome is not Outcome.APPLIED:
        return None
    old = known.row
    if change.operation is Operation.DELETE:
        record.write_row = None
        deleted_at = change.version.stamp
        record.write_tombstone = Tombstone(
            change.id, change.version, deleted_at, change.master, as_dict(old) if old else None
        )
        record.known = StoredRecord(change.version, old, deleted=True)
        return as_dict(old) if old else None
    _put(record, change, decision.differing, table)
    if not old or known.deleted:
        return None
    replaced = {name: old.get(name) for name in decision.differing}
    if change.partial and table.schema.cursor:
        replaced[table.schema.cursor] = old.get(table.schema.cursor)
    return replaced


def _put(record: _Record, change: Change, differing: Collection[str], table: Table) -> None:
    """Write the row after the change: absent columns keep their values, and the stamp is the version's."""
    version, partial = version_after(record.known.version, change), _is_partial(change, table)
    old, cursor = record.known.row, table.schema.cursor
    values = _merged(old, change.fields or {}, {cursor: version.stamp} if cursor else {})
    record.write_tombstone = None
    record.changed.update(differing)
    if cursor and (old is None or old.get(cursor) != version.stamp):
        record.changed.add(cursor)
    record.write_row = MirrorRow(values, version, change.source, partial, record.changed)
    record.known = StoredRecord(version, values, partial=partial)


def _merged(old: Fields | None, new: Fields, stamp: Fields) -> Fields:
    if isinstance(new, Image) and all(new[name] == value for name, value in stamp.items()):
        return new
    return {**as_dict(old or {}), **new, **stamp}


def _is_partial(change: Change, table: Table) -> bool:
    return change.partial or len(change.fields or {}) < len(table.columns)


def _confirm(record: _Record, change: Change, decision: Decision, table: Table) -> None:
    """Raise the version of a record that was seen unchanged, and update the columns that it covers.

    A deletion that names the winner of a merge adds it to the tombstone, even if it was observed earlier. A
    read that completes a partial row brings its stamp, and the columns that no event has.
    """
    known = record.known
    if known.row is None or known.deleted:
        version = max(known.version, change.version)
        values = as_dict(known.row or {}) or None
        record.write_tombstone = Tombstone(change.id, version, version.stamp, change.master, values)
        record.known = StoredRecord(version, known.row, deleted=True, partial=known.partial)
    elif change.partial or known.partial:
        _put(record, change, decision.differing, table)
    else:
        version, partial = max(known.version, change.version), _is_partial(change, table)
        record.write_row = MirrorRow(known.row, version, change.source, partial, record.changed)
        record.known = StoredRecord(version, known.row, partial=partial)


def _latency(change: Change, decision: Decision, salesforce_now: Millis) -> Millis | None:
    """Return the delay from the org's commit to the mirror's in ms.

    None for a change that was not applied, or that is a row of a full read.
    """
    if decision.outcome is not Outcome.APPLIED or change.source is Source.AUDIT:
        return None
    return max(salesforce_now - from_iso(change.version.stamp), 0)


def _is_since_load(change: Change, mirrored: MirroredObject) -> bool:
    """Return whether a change was made after the load began: the delay of earlier ones means nothing."""
    return from_iso(change.version.stamp) >= mirrored.freshness.loaded_from


def _update_on_commit(tx: Tx, batch: _Batch, at: Millis) -> None:
    """Update freshness and suspicions in memory after the commit."""
    mirrored = batch.mirrored
    if any(note.outcome == Outcome.APPLIED for note in batch.notes):
        tx.on_commit(partial(mirrored.freshness.applied, at, batch.latencies))
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
    """Write the results of the batch, each record at most once; return the number of records to fetch."""
    by_id = batch.records
    rows = [record.write_row for record in by_id.values() if record.write_row]
    tombstones = [record.write_tombstone for record in by_id.values() if record.write_tombstone]
    if rows:
        present = {record_id for record_id, record in by_id.items() if record.initial_row is not None}
        await mirror_writer.put(tx, batch.table, rows, present)
    undeleted = [record_id for record_id, record in by_id.items() if record.was_deleted and record.write_row]
    if undeleted:
        await mirror_writer.remove_tombstones(tx, batch.table, undeleted)
    if tombstones:
        await mirror_writer.add_tombstones(tx, batch.table, tombstones)
    added = sum(1 for record in by_id.values() if record.write_row and record.initial_row is None)
    removed = sum(1 for record in by_id.values() if record.write_tombstone and record.initial_row is not None)
    await records.add_rows(tx, batch.mirrored.name, added - removed)
    requests = [(record_id, record.fetch) for record_id, record in by_id.items() if record.fetch]
    if requests:
        await fetches.ask(tx, batch.mirrored.name, requests, at)
    await _ask_to_complete(tx, batch, at)
    return len(requests)


async def _ask_to_complete(tx: Tx, batch: _Batch, at: Millis) -> None:
    """Request the rows that are partial now, and no longer those that were."""
    due, done = [], []
    for record_id, record in batch.records.items():
        is_partial = record.known.partial and not record.known.deleted
        if record.complete and is_partial:
            due.append(record_id)
        elif record.was_partial and not is_partial:
            done.append(record_id)
    if due:
        await fetches.ask_to_complete(tx, batch.mirrored.name, due, at)
    if done:
        await fetches.completed(tx, batch.mirrored.name, done)
