"""Changes of `privacy`, `exclude` and `fields`, applied at the start to everything that is stored already.

Before anything else runs, every place is rewritten in batches, each with the position at which to resume
after a kill; then free pages and WAL are erased. The rules in force are stored last. If the configuration
changes once more in between, the interrupted change is finished first, as only its own rules tell what was
rewritten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
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
from rtsd.store.database import Database, Tx
from rtsd.store.journal import Note
from rtsd.store.objects import StoredObject
from rtsd.store.rewriting import Cursor, Place
from rtsd.store.schema import Table

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
    after: Cursor | None = None
    """The last key that was rewritten there; None before the first."""
    rewritten: int = 0


async def apply(
    database: Database, configs: Sequence[ObjectConfig], key: bytes, write_note: WriteNote
) -> None:
    """Apply what has changed since the last run. Raises StoreError."""
    while (change := await _pending(database) or await _changed(database, configs)) is not None:
        known = await objects.load(database)
        rewriters = {
            name: Rewriter(change.before[name], now, key, _always(known.get(name)))
            for name, now in change.now.items()
        }
        active = {name.lower(): found for name, found in rewriters.items() if not found.is_idle()}
        if active:
            await _rewrite(database, change, active, known)
        await _finish(database, change, rewriters, known)
        for name in change.now:
            if name.lower() in active and (name in known or change.rewritten):
                await _say(write_note, name, active[name.lower()])
    await _erase(database, write_note)


async def _pending(database: Database) -> _Change | None:
    found = await meta.get(database, _PROGRESS)
    return msgspec.json.decode(found, type=_Change) if found else None


async def _changed(database: Database, configs: Sequence[ObjectConfig]) -> _Change | None:
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
    steps = list(_places(active, known))
    names = [name for name, _, _ in steps]
    change.place = change.place or names[0]
    while change.place != _DONE:
        place = names.index(change.place)
        _, first, rewrite = steps[place]
        async with database.transaction() as tx:
            count, last = await rewrite(tx, first if change.after is None else change.after)
            change.rewritten += count
            change.after = last
            if last is None:
                change.place = names[place + 1] if place + 1 < len(names) else _DONE
            if count:
                await meta.put(tx, _ERASE, "due")
            await meta.put(tx, _PROGRESS, msgspec.json.encode(change).decode())


Step = Callable[[Tx, Cursor], Awaitable[tuple[int, Cursor | None]]]


def _places(
    active: Mapping[str, Rewriter], known: Mapping[str, StoredObject]
) -> Iterator[tuple[str, Cursor, Step]]:
    """Yield every place with its first key, and what rewrites a batch of it."""

    def step(place: Place, rewrite: rewriting.Rewrite) -> tuple[str, Cursor, Step]:
        async def batch(tx: Tx, after: Cursor) -> tuple[int, Cursor | None]:
            return await rewriting.rewrite_documents(tx, place, after, rewrite)

        return place.name, place.first, batch

    for place in rewriting.DOCUMENTS:
        yield step(place, lambda name, body: _document(active, name, body))
    yield step(rewriting.JOURNAL, lambda name, text: _values(active, name, text))
    for stored in known.values():
        if stored.name.lower() in active:
            yield step(rewriting.tombstones(stored.name), lambda name, text: _values(active, name, text))
            yield f"rows {stored.name}", 0, _rows(stored.name, active[stored.name.lower()])


def _rows(name: str, rewriter: Rewriter) -> Step:
    async def batch(tx: Tx, after: Cursor) -> tuple[int, Cursor | None]:
        columns = await tables.own_columns(tx, name)
        rewrites = [(column, found) for column in columns if (found := rewriter.rewrite(column)) is not None]
        if not rewrites:
            return 0, None
        return await rewriting.rewrite_rows(tx, name, rewrites, after)

    return batch


def _values(active: Mapping[str, Rewriter], name: str | None, text: str) -> str:
    """Return values in JSON as the rules keep them."""
    rewriter = active.get((name or "").lower())
    if rewriter is None:
        return text
    values = msgspec.json.decode(text)
    kept = rewriter.values(values)
    return text if kept == values else msgspec.json.encode(kept).decode()


def _document(active: Mapping[str, Rewriter], name: str | None, body: bytes) -> bytes:
    """Return a push, or the delivery of a change of `name`, as the rules keep its values."""
    return _push(active, body) if name is None else _delivery(active.get(name.lower()), body)


def _push(active: Mapping[str, Rewriter], body: bytes) -> bytes:
    try:
        push = read_push(body)
    except MalformedPush:
        return _UNREADABLE
    differs = False
    for change in push.changes if isinstance(push, Changes) else ():
        rewriter = active.get(change.object.lower())
        if rewriter is not None and change.fields is not None:
            kept = rewriter.values(change.fields, is_push=True)
            differs |= kept != change.fields
            change.fields = kept
    return encode_push(push) if differs else body


def _delivery(rewriter: Rewriter | None, body: bytes) -> bytes:
    if rewriter is None:
        return body
    document: dict[str, Any] = msgspec.json.decode(body)
    kept = {
        key: rewriter.values(value) if key in ("record", "old") and isinstance(value, dict) else value
        for key, value in document.items()
    }
    return body if kept == document else msgspec.json.encode(kept)


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
    table = Table(schema) if dropped else table
    return replace(stored, table=table, to_fill=tuple(dict.fromkeys(to_fill)))


async def _say(write_note: WriteNote, name: str, rewriter: Rewriter) -> None:
    message = "the change of privacy, exclude or fields was applied to everything that was stored before"
    if rewriter.before is None:
        message = "privacy, exclude and fields were applied to everything that an older rtsd had stored"
    await write_note(Note("schema", name, message=message))
    log.info("privacy applied", object=name)


async def _erase(database: Database, write_note: WriteNote) -> None:
    """Erase former values from free pages and WAL; if that fails, say so, and repeat it at the next start."""
    if await meta.get(database, _ERASE) is None:
        return
    try:
        await rewriting.erase_free_space(database)
    except StoreError as error:
        log.warning("privacy not erased", message=str(error))
        await write_note(Note("error", message=str(error), detail={"error": error.code}))
        return
    async with database.transaction() as tx:
        await meta.remove(tx, _ERASE)


def _always(stored: StoredObject | None) -> frozenset[str]:
    cursor = stored.table.schema.cursor if stored is not None and stored.table is not None else None
    return always_mirrored(cursor, ORDERING)


def _key(name: str) -> str:
    return f"privacy {name}"
