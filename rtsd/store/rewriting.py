"""Rewrites of stored values, place by place, in batches that resume where they ended.

For a changed privacy rule only. It concerns every place where the value of a record lives: rows, tombstones,
the journal, pushes (the inbox is emptied into the mirror before), deliveries and dead letters. Versions stay
as they are: no record has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rtsd.store.database import Tx
from rtsd.store.dialect import Key, quoted

ROWS_AT_ONCE = 2_000
"""Rows of an object in one transaction."""

Rewrite = Callable[[str | None, Any], Any]
"""Takes the object's name, if the place knows it, and the content; returns the new content."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place: rows as (key, object, content) after a key, and the update of one row by (content, key)."""

    name: str
    select: str
    update: str
    first: Key = 0
    parameters: tuple[str, ...] = ()
    """Of both statements, before the others."""
    at_once: int = 1_000


DOCUMENTS = (
    Place(
        "inbox",
        "SELECT seq, NULL, body FROM _rts_held WHERE seq > ? ORDER BY seq LIMIT ?",
        "UPDATE _rts_held SET body=? WHERE seq=?",
        at_once=50,
    ),
    Place(
        "dead letters",
        "SELECT id, CASE kind WHEN 'delivery' THEN object END, body FROM _rts_dead_letter"
        " WHERE id > ? ORDER BY id LIMIT ?",
        "UPDATE _rts_dead_letter SET body=? WHERE id=?",
        at_once=50,
    ),
    Place(
        "outbox",
        "SELECT seq, object, body FROM _rts_outbox WHERE body IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?",
        "UPDATE _rts_outbox SET body=? WHERE seq=?",
        at_once=50,
    ),
)
"""Places whose contents are documents, of a push or a delivery."""
JOURNAL = Place(
    "journal",
    "SELECT seq, object, before FROM _rts_journal WHERE before IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?",
    "UPDATE _rts_journal SET before=? WHERE seq=?",
)
"""The values that journal entries replaced, as JSON."""


def tombstones(object_name: str) -> Place:
    """The last values of an object's deleted records, as JSON."""
    return Place(
        f"tombstones {object_name}",
        'SELECT id, object, "values" FROM _rts_tombstone'
        ' WHERE object=? AND "values" IS NOT NULL AND id > ? ORDER BY id LIMIT ?',
        'UPDATE _rts_tombstone SET "values"=?2 WHERE object=?1 AND id=?3',
        first="",
        parameters=(object_name,),
    )


async def rewrite_documents(tx: Tx, place: Place, after: Key, rewrite: Rewrite) -> tuple[int, Key | None]:
    """Rewrite a batch of texts; return how many changed, and the last key, None at the end."""
    rows = await tx.fetch(place.select, (*place.parameters, after, place.at_once))
    new = [(key, content, rewrite(name, content)) for key, name, content in rows]
    changed = [(*place.parameters, text, key) for key, content, text in new if text != content]
    await tx.executemany(place.update, changed)
    return len(changed), rows[-1][0] if rows else None


async def rewrite_rows(
    tx: Tx, object_name: str, rewrites: Sequence[tuple[str, Callable[[Any], Any]]], after: Key
) -> tuple[int, Key | None]:
    """Rewrite some columns of a batch of an object's rows; return as `rewrite_documents` does."""
    table, columns = tx.dialect.table(object_name), [quoted(name) for name, _ in rewrites]
    place = tx.dialect.key
    rows = await tx.fetch(
        f"SELECT {place}, {', '.join(columns)} FROM {table} WHERE {place} > ? ORDER BY {place} LIMIT ?",
        (after, ROWS_AT_ONCE),
    )
    changed = []
    for key, *values in rows:
        new = [
            value if value is None else rewrite(value)
            for value, (_, rewrite) in zip(values, rewrites, strict=True)
        ]
        if new != values:
            changed.append((*new, key))
    assignments = ", ".join(f"{column}=?" for column in columns)
    await tx.executemany(f"UPDATE {table} SET {assignments} WHERE {place}=?", changed)
    return len(changed), rows[-1][0] if rows else None
