"""Deletion of old entries in small batches, so that pushes do not wait.

SQLite reuses the space; the file does not shrink.
"""

from __future__ import annotations

from rtsd.core.instant import Millis, to_iso
from rtsd.store.database import AMONG, Database
from rtsd.store.inbox import Inbox

AT_ONCE = 200
"""Rows per transaction, which takes a few milliseconds, as an entry is at a random place of each index."""
SAMPLES = 400
"""Entries sampled for the average size."""
OVERHEAD = 90
"""Bytes per entry besides its texts: its number and two index entries."""
_TEXTS = ("at", "type", "object", "id", "op", "source", "outcome", "changed", "message", "detail", "before")


async def forget_journal(database: Database, before: Millis) -> int:
    """Delete a batch of the journal's entries from before `before` (ms), oldest first; return its size."""
    return await _delete(database, "_rts_journal", before)


async def forget_oldest(database: Database, count: int) -> int:
    """Delete the journal's oldest `count` entries, at most AT_ONCE; return their number."""
    async with database.transaction() as tx:
        ids = "SELECT seq FROM _rts_journal ORDER BY seq LIMIT ?"
        return await tx.executemany(
            f"DELETE FROM _rts_journal WHERE seq IN ({ids})", [(min(count, AT_ONCE),)]
        )


async def forget_errors(database: Database, before: Millis) -> int:
    """Delete a batch of logged errors that last occurred before `before` (ms); return its size."""
    return await _delete(database, "_rts_error", before)


async def forget_push_ids(inbox: Inbox, before: Millis) -> int:
    """Delete a batch of the ids of pushes from before then; return its size."""
    return await inbox.purge(before, AT_ONCE)


async def journal_size(database: Database) -> tuple[int, int]:
    """Return the number of the journal's entries and their approximate size in bytes.

    The size is extrapolated from sampled entries: an exact one would take reading the whole journal.
    """
    ((first, last),) = await database.fetch("SELECT MIN(seq), MAX(seq) FROM _rts_journal")
    if first is None:
        return 0, 0
    entries = last - first + 1
    spread = [first + place * entries // SAMPLES for place in range(SAMPLES)]
    length = " + ".join(f"COALESCE(octet_length({name}), 0)" for name in _TEXTS)
    ((average,),) = await database.fetch(
        f"SELECT AVG({length}) FROM _rts_journal WHERE seq {AMONG}",
        (spread,),
    )
    return entries, round(entries * ((average or 0) + OVERHEAD))


async def _delete(database: Database, table: str, before: Millis) -> int:
    ids = f"SELECT seq FROM {table} WHERE at < ? ORDER BY at LIMIT {AT_ONCE}"
    async with database.transaction() as tx:
        return await tx.executemany(f"DELETE FROM {table} WHERE seq IN ({ids})", [(to_iso(before),)])
