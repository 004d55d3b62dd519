"""Changes of `privacy`, `exclude` and `fields`, applied at the start to everything that is stored already.

Before anything else runs, every place is rewritten in batches, each with the position at which to resume
after a kill; then free pages and WAL are erased. The rules in force are stored last. If the configuration
changes once more in between, the interrupted change is finished first, as only its own rules tell what was
rewritten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog

from rtsd.core.field_rules import FieldRules, Rewriter, always_mirrored
from rtsd.core.payload import Changes, encode_push, read_push
from rtsd.core.privacy import ORDERING
from rtsd.core.schema import ObjectConfig
from rtsd.errors import MalformedPush, StoreError
from rtsd.store import meta, objects, rewriting, row_checksums
from rtsd.store import schema as tables
from rtsd.store.database import Database, Queries, Tx
from rtsd.store.dialect import Key
from rtsd.store.engine import Engine
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Note
from rtsd.store.objects import StoredObject
from rtsd.store.rewriting import Place
from rtsd.store.schema import Table
from rtsd.sync import privacy_message

_PROGRESS = "privacy change"
_ERASE = "privacy erase"
_DONE = "done"
_UNREADABLE = b"{}"
"""What is left of a dead letter that is no document: nobody can tell which fields it has."""

log = structlog.get_logger("rtsd.privacy")

WriteNote = Callable[[Note], Awaitable[None]]


class _Change(msgspec.Struct):
    """A change in progress."""

    before: dict[str, FieldRules | None]
    now: dict[str, FieldRules]
    place: str = ""
    """The place that is being rewritten; those before it are done."""
    after: Key | None = None
    """The last key that was rewritten there; None before the first."""
    counts: dict[str, dict[str, int]] = {}
    """What was rewritten, by object (lower-cased) and place."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that this start has applied, or, without an object, what is left to do."""

    object: str | None
    message: str


async def apply(
    database: Database, inbox: Inbox, configs: Sequence[ObjectConfig], key: bytes, write_note: WriteNote
) -> list[Applied]:
    """Apply what has changed since the last run, and say what was rewritten.

    Raises StoreError.
    """
    applied: list[Applied] = []
    while (change := await _pending(database) or await _changed(database, configs)) is not None:
        known = await objects.load(database)
        rewriters = _rewriters(change, known, key)
        active = {name.lower(): found for name, found in rewriters.items() if not found.is_idle()}
        if active:
            await inbox.empty()
            await _rewrite(database, change, active, known)
        await _finish(database, change, rewriters, known)
        for name in change.now:
            counts = change.counts.get(name.lower(), {})
            if name.lower() in active and (name in known or counts):
                said = privacy_message.applied(active[name.lower()], _fields(known.get(name)), counts)
                await _say(write_note, name, said, counts)
                applied.append(Applied(name, said))
    return applied + await _erase(database, inbox, write_note)


async def preview(engine: Engine, configs: Sequence[ObjectConfig]) -> dict[str, str]:
    """Return what the next start is going to apply to the mirror, by object.

    Nothing, if there is no mirror yet, or none that this user may read.
    """
    with suppress(StoreError):
        async with engine.peek() as database:
            if database is None:
                return {}
            change = await _changed(database, configs)
            known = await objects.load(database)
            rewriters = _rewriters(change, known, b"") if change is not None else {}
            return {
                name: privacy_message.planned(rewriter, _fields(known.get(name)))
                for name, rewriter in rewriters.items()
                if name in known and rewriter.changed(_fields(known.get(name)))
            }
    return {}


def _rewriters(change: _Change, known: Mapping[str, StoredObject], key: bytes) -> dict[str, Rewriter]:
    return {
        name: Rewriter(change.before[name], now, key, _always(known.get(name)), _no_texts(known.get(name)))
        for name, now in change.now.items()
    }


def _fields(stored: StoredObject | None) -> tuple[str, ...]:
    """Return the fields of an object, mirrored or not."""
    if stored is None or stored.table is None:
        return ()
    return (*stored.table.schema.names, *stored.table.schema.unmirrored)


async def _pending(database: Queries) -> _Change | None:
    found = await meta.get(database, _PROGRESS)
    return msgspec.json.decode(found, type=_Change) if found else None


async def _changed(database: Queries, configs: Sequence[ObjectConfig]) -> _Change | None:
    """Return the difference between the last run's rules and the configuration's, if there is any."""
    known = await objects.load(database)
    change = _Change({}, {})
    for config in configs:
        found, now = await meta.get(database, _key(config.name)), FieldRules.of(config)
        before = msgspec.json.decode(found, type=FieldRules) if found else None
        if before is None and (config.name not in known or known[config.name].table is None):
            before = FieldRules()  # nothing was masked before it was mirrored
        if before != now or not found:
            change.before[config.name], change.now[config.name] = before, now
    return change if change.now else None


async def _rewrite(
    database: Database, change: _Change, active: Mapping[str, Rewriter], known: Mapping[str, StoredObject]
) -> None:
    """Rewrite every place, from where an interrupted change was left."""
    async with database.transaction() as tx:
        await meta.put(tx, _PROGRESS, msgspec.json.encode(change).decode())
        if any(stored.table for stored in known.values() if stored.name.lower() in active):
            await meta.put(tx, _ERASE, "due")  # free pages may have what no place has any more
    steps = list(_steps(active, known, database.dialect.before_keys))
    names = [step.name for step in steps]
    change.place = change.place or names[0]
    while change.place != _DONE:
        place = names.index(change.place)
        step = steps[place]
        async with database.transaction() as tx:
            found, change.after = await step.rewrite(tx, step.first if change.after is None else change.after)
            for name, count in found.items():
                by_place = change.counts.setdefault(name, {})
                by_place[step.place] = by_place.get(step.place, 0) + count
            if change.after is None:
                change.place = names[place + 1] if place + 1 < len(names) else _DONE
            if found:
                await meta.put(tx, _ERASE, "due")
            await meta.put(tx, _PROGRESS, msgspec.json.encode(change).decode())


Touched = Counter[str]
"""How many contents of a batch were rewritten, by object (lower-cased); empty for those of no object."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One place to rewrite: its name, its kind as in `privacy_message.PLACES`, and its first key."""

    name: str
    place: str
    first: Key
    rewrite: Callable[[Tx, Key], Awaitable[tuple[Touched, Key | None]]]
    """Rewrites a batch after a key, and returns the last key."""


def _steps(
    active: Mapping[str, Rewriter], known: Mapping[str, StoredObject], before_rows: Key
) -> Iterator[_Step]:
    """Yield every place; `before_rows` is before the keys of all rows."""
    for place in rewriting.DOCUMENTS:
        yield _of_texts(place, place.name, lambda name, body, touched: _document(active, name, body, touched))
    yield _of_texts(
        rewriting.JOURNAL, "journal", lambda name, text, touched: _values(active, name, text, touched)
    )
    for stored in known.values():
        if stored.name.lower() in active:
            yield _of_texts(
                rewriting.tombstones(stored.name),
                "tombstones",
                lambda name, text, touched: _values(active, name, text, touched),
            )
            yield _of_rows(stored.name, active[stored.name.lower()], before_rows)


def _of_texts(place: Place, kind: str, rewrite: Callable[[str | None, Any, Touched], Any]) -> _Step:
    async def batch(tx: Tx, after: Key) -> tuple[Touched, Key | None]:
        touched = Touched()
        _, last = await rewriting.rewrite_documents(
            tx, place, after, lambda name, content: rewrite(name, content, touched)
        )
        return touched, last

    return _Step(place.name, kind, place.first, batch)


def _of_rows(name: str, rewriter: Rewriter, first: Key) -> _Step:
    async def batch(tx: Tx, after: Key) -> tuple[Touched, Key | None]:
        columns = await tables.own_columns(tx, name)
        rewrites = [(column, found) for column in columns if (found := rewriter.rewrite(column)) is not None]
        if not rewrites:
            return Touched(), None
        count, last = await rewriting.rewrite_rows(tx, name, rewrites, after)
        return Touched({name.lower(): count} if count else {}), last

    return _Step(f"rows {name}", "rows", first, batch)


def _values(active: Mapping[str, Rewriter], name: str | None, text: str, touched: Touched) -> str:
    """Return values in JSON as the rules keep them."""
    rewriter = active.get((name or "").lower())
    if rewriter is None:
        return text
    values = msgspec.json.decode(text)
    kept = rewriter.values(values)
    if kept == values:
        return text
    touched[(name or "").lower()] += 1
    return msgspec.json.encode(kept).decode()


def _document(active: Mapping[str, Rewriter], name: str | None, body: bytes, touched: Touched) -> bytes:
    """Return a push, or the delivery of a change of `name`, as the rules keep its values."""
    return _push(active, body, touched) if name is None else _delivery(active, name.lower(), body, touched)


def _push(active: Mapping[str, Rewriter], body: bytes, touched: Touched) -> bytes:
    try:
        push = read_push(body)
    except MalformedPush:
        if body != _UNREADABLE:
            touched[""] += 1
        return _UNREADABLE
    differing = set()
    for change in push.changes if isinstance(push, Changes) else ():
        rewriter = active.get(change.object.lower())
        if rewriter is not None and change.fields is not None:
            kept = rewriter.values(change.fields, is_push=True)
            if kept != change.fields:
                differing.add(change.object.lower())
            change.fields = kept
    touched.update(differing)
    return encode_push(push) if differing else body


def _delivery(active: Mapping[str, Rewriter], name: str, body: bytes, touched: Touched) -> bytes:
    rewriter = active.get(name)
    if rewriter is None:
        return body
    document: dict[str, Any] = msgspec.json.decode(body)
    kept = {
        key: rewriter.values(value) if key in ("record", "old") and isinstance(value, dict) else value
        for key, value in document.items()
    }
    if kept == document:
        return body
    touched[name] += 1
    return msgspec.json.encode(kept)


async def _finish(
    database: Database,
    change: _Change,
    rewriters: Mapping[str, Rewriter],
    known: Mapping[str, StoredObject],
) -> None:
    """Store the rules in force, and what has to be read again by them."""
    async with database.transaction() as tx:
        for name, rewriter in rewriters.items():
            await meta.put(tx, _key(name), msgspec.json.encode(change.now[name]).decode())
            stored = known.get(name)
            if stored is not None and stored.table is not None:
                await objects.save(tx, stored, _after(stored, stored.table, rewriter))
                await row_checksums.forget_in(tx, name)
        await meta.remove(tx, _PROGRESS)


def _after(stored: StoredObject, table: Table, rewriter: Rewriter) -> StoredObject:
    """Return the object without the fields of which nothing is kept; a describe will say the same."""
    schema = table.schema
    dropped = rewriter.dropped(schema.names)
    if dropped:
        schema = replace(
            schema,
            fields=tuple(field for field in schema.fields if field.name not in dropped),
            unmirrored=(*schema.unmirrored, *sorted(dropped)),
        )
    again = rewriter.to_read_again(schema.names)
    to_fill = (*(name for name in stored.to_fill if name not in dropped), *again)
    table = replace(table, schema=schema) if dropped else table
    return replace(stored, table=table, to_fill=tuple(dict.fromkeys(to_fill)))


async def _say(write_note: WriteNote, name: str, said: str, counts: Mapping[str, int]) -> None:
    await write_note(Note("schema", name, message=said, detail={"rewritten": dict(counts)}))
    log.info("privacy applied", object=name, **{place.replace(" ", "_"): n for place, n in counts.items()})


async def _erase(database: Database, inbox: Inbox, write_note: WriteNote) -> list[Applied]:
    """Erase former values from free pages and WAL; if that fails, say so, and repeat it at the next start."""
    if await meta.get(database, _ERASE) is None:
        return []
    try:
        await inbox.file.erase_free_space()
        await database.erase_free_space()
    except StoreError as error:
        log.warning("privacy not erased", message=str(error))
        await write_note(Note("error", message=str(error), detail={"error": error.code}))
        return [Applied(None, str(error))]
    async with database.transaction() as tx:
        await meta.remove(tx, _ERASE)
    return []


def _always(stored: StoredObject | None) -> frozenset[str]:
    cursor = stored.table.schema.cursor if stored is not None and stored.table is not None else None
    return always_mirrored(cursor, ORDERING)


def _no_texts(stored: StoredObject | None) -> frozenset[str]:
    if stored is None or stored.table is None:
        return frozenset()
    return frozenset(field.name.lower() for field in stored.table.schema.typed)


def _key(name: str) -> str:
    return f"privacy {name}"
