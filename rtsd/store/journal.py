"""The journal of events, in order: the source of the feed, `rtsd events`, `rtsd why` and history."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.core.values import MirrorValue
from rtsd.store.database import AMONG, Database, Queries, Row, Tx

MOST = 2**63 - 1
"""The largest number of an entry, and that engines compare with."""

_COLUMNS = "seq, at, type, object, id, op, source, outcome, changed, latency_ms, message, detail"


class Note(msgspec.Struct, frozen=True, gc=False):
    """An event before it gets its number in the journal."""

    type: str
    object: str | None = None
    id: str | None = None
    op: str | None = None
    source: str | None = None
    outcome: str | None = None
    changed: Sequence[str] | None = None
    latency_ms: int | None = None
    message: str | None = None
    detail: Mapping[str, Any] | None = None
    before: Mapping[str, MirrorValue] | None = None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An entry of the journal, numbered by `seq`."""

    seq: int
    at: str
    note: Note


class UnpushedChange(NamedTuple):
    """A change that was found without a push; `made_at` is its stamp on the local clock, in ms."""

    seq: int
    made_at: Millis
    object: str
    id: str
    op: str
    source: str
    """What found it: `interval` or `repair`."""
    changed: list[str] | None
    beside_push: bool
    """Whether a push for the same record came shortly before, for this change or another."""


class Chosen(NamedTuple):
    """Which entries are wanted: about an object, of some types, from one moment up to another (ISO)."""

    object: str | None = None
    types: Collection[str] = ()
    since: str | None = None
    until: str | None = None
    applied: bool = False
    """Whether only applied changes are."""


class Step(NamedTuple):
    """An applied change of one record, with the values that it replaced."""

    seq: int
    id: str
    op: str
    replaced: Mapping[str, MirrorValue] | None


class Journal:
    """The writing side of the journal, which numbers entries; the functions below read it."""

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq

    @classmethod
    async def open(cls, database: Database) -> Journal:
        """Continue the numbering after the newest entry."""
        return cls(await newest_seq(database))

    async def append(self, tx: Tx, at: Millis, notes: Sequence[Note]) -> list[Entry]:
        """Write entries in the caller's transaction; publish them only after it committed.

        A rollback leaves a gap in the numbers. No number is used twice, because followers resume by number.
        """
        moment = to_iso(at)
        entries = [Entry(self.last_seq + place, moment, note) for place, note in enumerate(notes, 1)]
        self.last_seq += len(entries)
        await tx.executemany(
            f"INSERT INTO _rts_journal ({_COLUMNS}, before) VALUES ({', '.join('?' * 13)})",
            [
                (
                    entry.seq,
                    entry.at,
                    note.type,
                    note.object,
                    note.id,
                    note.op,
                    note.source,
                    note.outcome,
                    _json(note.changed),
                    note.latency_ms,
                    note.message,
                    _json(note.detail),
                    _json(note.before),
                )
                for entry in entries
                for note in (entry.note,)
            ],
        )
        return entries


async def newest_seq(database: Database) -> int:
    """The number of the newest committed entry; `Journal.last_seq` includes uncommitted ones."""
    ((last,),) = await database.fetch("SELECT COALESCE(MAX(seq), 0) FROM _rts_journal")
    return int(last)


async def oldest_seq(database: Database) -> int:
    """The number of the oldest entry that retention has left; 0 if there is none."""
    ((first,),) = await database.fetch("SELECT COALESCE(MIN(seq), 0) FROM _rts_journal")
    return int(first)


async def begin(database: Queries) -> str | None:
    """The moment of the oldest entry that retention has left (ISO); None if there is none."""
    for (at,) in await database.fetch("SELECT at FROM _rts_journal ORDER BY seq LIMIT 1"):
        return str(at)
    return None


async def changes(
    database: Database, seq: int, upto: int, limit: int, object_name: str | None = None
) -> list[tuple[Entry, Any]]:
    """The first applied changes after entry `seq` up to `upto`, each with the values that it replaced."""
    where, parameters = "", [seq, upto]
    if object_name:
        where, parameters = " AND object = ?", [seq, upto, object_name]  # type: ignore[list-item]
    rows = await database.fetch(
        f"SELECT {_COLUMNS}, before FROM _rts_journal WHERE seq > ? AND seq <= ? AND type='change'"
        f" AND outcome='applied'{where} ORDER BY seq LIMIT ?",
        (*parameters, limit),
    )
    return [(_entry(row[:12]), msgspec.json.decode(row[12]) if row[12] else None) for row in rows]


async def later_changes(
    database: Database, object_name: str, ids: Collection[str], seq: int, upto: int
) -> list[Step]:
    """The applied changes of these records after entry `seq` up to `upto`, newest first."""
    rows = await database.fetch(
        f"SELECT seq, id, op, before FROM _rts_journal WHERE object=? AND id {AMONG} AND seq > ? AND seq <= ?"
        " AND type='change' AND outcome='applied' ORDER BY seq DESC",
        (object_name, list(ids), seq, upto),
    )
    return [
        Step(number, record_id, op, msgspec.json.decode(before) if before else None)
        for number, record_id, op, before in rows
    ]


async def applied(database: Database, seqs: Collection[int]) -> list[tuple[Entry, Any]]:
    """The applied changes among these entries, oldest first, each with the values that it replaced."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS}, before FROM _rts_journal WHERE seq {AMONG} AND type='change'"
        " AND outcome='applied' ORDER BY seq",
        (list(seqs),),
    )
    return [(_entry(row[:12]), msgspec.json.decode(row[12]) if row[12] else None) for row in rows]


async def next_changes(
    database: Database, records: Collection[tuple[str, str, int]], limit: int
) -> dict[tuple[str, str], list[Step]]:
    """The first `limit` applied changes of each record, an object and an id, after an entry; oldest first."""
    of_one = (
        "SELECT * FROM (SELECT object, seq, id, op, before FROM _rts_journal WHERE object=? AND id=?"
        " AND seq > ? AND type='change' AND outcome='applied' ORDER BY seq LIMIT ?) AS later"
    )
    found: dict[tuple[str, str], list[Step]] = {}
    if records:
        parameters = [value for record in records for value in (*record, limit)]
        rows = await database.fetch(" UNION ALL ".join([of_one] * len(records)), parameters)
        for name, seq, record_id, op, before in sorted(rows, key=lambda row: int(row[1])):
            step = Step(seq, record_id, op, msgspec.json.decode(before) if before else None)
            found.setdefault((name, record_id), []).append(step)
    return found


async def unpublished_since(database: Database, seq: int) -> str | None:
    """The moment of the first applied change after entry `seq` (ISO); None if there is none."""
    for (at,) in await database.fetch(
        "SELECT at FROM _rts_journal WHERE seq > ? AND type='change' AND outcome='applied'"
        " ORDER BY seq LIMIT 1",
        (seq,),
    ):
        return str(at)
    return None


async def after(
    database: Database, seq: int, *, object_name: str | None = None, limit: int = 1000
) -> list[Entry]:
    """The entries after `seq`, oldest first."""
    return await chosen(database, Chosen(object_name), after=seq, limit=limit)


async def chosen(
    database: Database, wanted: Chosen, *, after: int | None = None, limit: int = 1000
) -> list[Entry]:
    """The chosen entries after `after`, else the newest of them; oldest first, at most `limit`."""
    where, parameters = await _where(database, wanted, after or 0)
    order = "DESC" if after is None else "ASC"
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM _rts_journal WHERE {where} ORDER BY seq {order} LIMIT ?",
        (*parameters, limit),
    )
    return [_entry(row) for row in (rows if after is not None else reversed(rows))]


async def _where(database: Database, wanted: Chosen, after: int) -> tuple[str, list[Any]]:
    """Return the condition on chosen entries after one; moments become numbers first, by their index.

    It has one lower bound: of two, SQLite begins at either, and reads up to the other.
    """
    where = "seq > ?"
    parameters: list[Any] = [after if wanted.since is None else await _before(database, wanted.since, after)]
    if wanted.until is not None:
        rows = await database.fetch(
            "SELECT seq FROM _rts_journal WHERE at <= ? ORDER BY at DESC, seq DESC LIMIT 1", (wanted.until,)
        )
        where, parameters = f"{where} AND seq <= ?", [*parameters, rows[0][0] if rows else None]
    if wanted.object:
        where, parameters = f"{where} AND object = ?", [*parameters, wanted.object]
    if wanted.types:
        where, parameters = f"{where} AND type {AMONG}", [*parameters, list(wanted.types)]
    if wanted.applied:
        where = f"{where} AND type = 'change' AND outcome = 'applied'"
    return where, parameters


async def _before(database: Database, at: str, seq: int) -> int | None:
    """The number before the first entry since a moment (ISO), at least `seq`; None without such an entry."""
    for (first,) in await database.fetch(
        "SELECT seq FROM _rts_journal WHERE at >= ? ORDER BY at, seq LIMIT 1", (at,)
    ):
        return max(seq, int(first) - 1)
    return None


async def corrections(database: Database, object_name: str, seq: int) -> list[tuple[str, str]]:
    """The changes applied without a push after entry `seq`, as (operation, id)."""
    rows = await database.fetch(
        "SELECT op, id FROM _rts_journal WHERE seq > ? AND object=? AND type='change'"
        " AND outcome='applied' AND source <> 'push' ORDER BY seq",
        (seq, object_name),
    )
    return [(str(operation), str(record_id)) for operation, record_id in rows]


async def without_push(database: Database, seq: int, at: str, limit: int = MOST) -> list[UnpushedChange]:
    """Changes applied by windows, fingerprints and repairs after `seq` and `at` that no push announced.

    Oldest first; with a `limit`, the first of them.

    A push announced a change if it came within a minute, or later and brought nothing new, or if it
    requested a fetch of the record: one that is applied later concerns another edit. So may one applied
    shortly before, because stamps have whole seconds.
    """
    before = database.dialect.earlier("found.at", "found.latency_ms / 1000.0 + 1")
    soon = database.dialect.earlier("push.at", "60")
    pushed = (
        "SELECT 1 FROM _rts_journal AS push WHERE push.object=found.object AND push.id=found.id"
        f" AND push.source='push' AND push.at >= {before}"
    )
    rows = await database.fetch(
        f"SELECT seq, at, latency_ms, object, id, op, source, changed,"
        f" EXISTS ({pushed} AND push.seq < found.seq)"
        " FROM _rts_journal AS found"
        " WHERE seq > ? AND at >= ? AND type='change' AND outcome='applied'"
        " AND source IN ('interval', 'repair') AND latency_ms IS NOT NULL"
        f" AND NOT EXISTS ({pushed} AND (push.outcome IN ('deferred', 'unknown')"
        f" OR push.seq > found.seq AND (push.outcome <> 'applied' OR found.at >= {soon})))"
        " ORDER BY seq LIMIT ?",
        (await _before(database, at, seq), at, limit),
    )
    return [
        UnpushedChange(
            number,
            from_iso(moment) - latency,
            name,
            record_id,
            op,
            source,
            msgspec.json.decode(changed) if changed else None,
            bool(beside),
        )
        for number, moment, latency, name, record_id, op, source, changed, beside in rows
    ]


async def pushes_around(database: Database, at: str) -> tuple[str | None, str | None]:
    """The moments of the last push up to `at` and of the first one after it (ISO), each None without one."""
    pushed = "SELECT at FROM _rts_journal WHERE type='change' AND source='push' AND at"
    before = await database.fetch(f"{pushed} <= ? ORDER BY at DESC LIMIT 1", (at,))
    after = await database.fetch(f"{pushed} > ? ORDER BY at LIMIT 1", (at,))
    return (str(before[0][0]) if before else None, str(after[0][0]) if after else None)


async def modes(database: Database, begin: str) -> list[Entry]:
    """The changes of the mode from the last one before `begin` (ISO), oldest first."""
    chosen = f"SELECT {_COLUMNS} FROM _rts_journal WHERE type='mode' AND object IS NULL AND at"
    before = await database.fetch(f"{chosen} < ? ORDER BY at DESC, seq DESC LIMIT 1", (begin,))
    return [
        _entry(row) for row in (*before, *await database.fetch(f"{chosen} >= ? ORDER BY at, seq", (begin,)))
    ]


async def applied_since(reader: Queries, object_name: str, at: str, limit: int) -> list[tuple[Entry, Any]]:
    """The changes of an object applied since `at`, newest first, each with the values it replaced.

    May scan the whole journal.
    """
    rows = await reader.fetch(
        f"SELECT {_COLUMNS}, before FROM _rts_journal WHERE at >= ? AND object=? AND type='change'"
        " AND outcome='applied' ORDER BY seq DESC LIMIT ?",
        (at, object_name, limit),
    )
    return [(_entry(row[:12]), msgspec.json.decode(row[12]) if row[12] else None) for row in rows]


async def of_record(database: Database, object_name: str, record_id: str) -> list[tuple[Entry, Any]]:
    """All entries of a record, oldest first, each with the values it replaced."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS}, before FROM _rts_journal WHERE object=? AND id=? ORDER BY seq",
        (object_name, record_id),
    )
    return [(_entry(row[:12]), msgspec.json.decode(row[12]) if row[12] else None) for row in rows]


async def findings(database: Database, limit: int = 200) -> list[Entry]:
    """The results of audits, fingerprints and repairs, newest first."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM _rts_journal WHERE type IN ('audit', 'drift', 'repair')"
        " ORDER BY seq DESC LIMIT ?",
        (limit,),
    )
    return [_entry(row) for row in rows]


async def actions(database: Database, limit: int = 200) -> list[Entry]:
    """What operators did, newest first."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM _rts_journal WHERE type='action' ORDER BY seq DESC LIMIT ?", (limit,)
    )
    return [_entry(row) for row in rows]


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _entry(row: Row) -> Entry:
    changed, detail = row[8], row[11]
    return Entry(
        row[0],
        row[1],
        Note(
            type=row[2],
            object=row[3],
            id=row[4],
            op=row[5],
            source=row[6],
            outcome=row[7],
            changed=msgspec.json.decode(changed) if changed else None,
            latency_ms=row[9],
            message=row[10],
            detail=msgspec.json.decode(detail) if detail else None,
        ),
    )
