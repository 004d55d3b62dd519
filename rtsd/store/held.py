"""Pushes, or parts of them, that were taken out of the inbox and wait in the mirror.

Those of an object that is paused, or not described yet, are held until it is released. Dead letters are
requeued here. What is released is applied before the pushes in the inbox, which came later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from rtsd.core.instant import Millis
from rtsd.core.privacy import MaskedPush
from rtsd.store import dead_letters, pushes
from rtsd.store.database import AMONG, Database, Tx
from rtsd.store.pushes import Entry

_Row = tuple[str, Millis, bytes, str | None]


async def hold(tx: Tx, entry: Entry, parts: Mapping[str, MaskedPush]) -> None:
    """Keep parts of a push, by object, until `release`; in the transaction that applies the rest."""
    await _add(tx, [(entry.webhook_id, entry.received_at, part.body, name) for name, part in parts.items()])


async def take_over(tx: Tx, entries: Sequence[Entry]) -> None:
    """Take whole pushes out of the inbox, to be applied next."""
    await _add(tx, [(entry.webhook_id, entry.received_at, entry.push.body, None) for entry in entries])


async def requeue(tx: Tx, at: Millis, letters: Iterable[tuple[str, MaskedPush]]) -> None:
    """Take dead letters, as (id, push), to be applied next."""
    await _add(tx, [(webhook_id, at, push.body, None) for webhook_id, push in letters])


async def released(database: Database) -> list[Entry]:
    """The oldest pushes to be applied, as many as one transaction applies."""
    if not database.counts.held:
        return []
    return await pushes.oldest(database, "_rts_held WHERE object IS NULL")


async def settle(tx: Tx, entries: Sequence[Entry], held_again: Collection[int]) -> None:
    """Remove pushes in the transaction that applied them, or held all of their parts again."""
    tx.counts.held -= await tx.executemany(
        "DELETE FROM _rts_held WHERE seq=?", [(entry.seq,) for entry in entries]
    )
    applied = (entry.webhook_id for entry in entries if entry.seq not in held_again)
    await dead_letters.settle_retries(tx, applied)


async def release(tx: Tx, object_name: str) -> int:
    """Let the held pushes of an object be applied, before those received later; return their number."""
    return await tx.executemany("UPDATE _rts_held SET object=NULL WHERE object=?", [(object_name,)])


async def release_all_but(tx: Tx, object_names: Collection[str]) -> None:
    """Let the held pushes of all other objects be applied."""
    await tx.execute(
        f"UPDATE _rts_held SET object=NULL WHERE object > '' AND object NOT {AMONG}", (list(object_names),)
    )


async def _add(tx: Tx, rows: Sequence[_Row]) -> None:
    await tx.executemany(
        "INSERT INTO _rts_held (webhook_id, received_at, body, object) VALUES (?, ?, ?, ?)", rows
    )
    tx.counts.held += len(rows)
