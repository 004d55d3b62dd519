"""Key-value pairs that survive a restart."""

from __future__ import annotations

from rtsd.store.database import Queries, Tx

PUT = "INSERT INTO _rts_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value"


async def get(database: Queries | Tx, key: str) -> str | None:
    """The value of a key, or None."""
    for (value,) in await database.fetch("SELECT value FROM _rts_meta WHERE key=?", (key,)):
        return str(value)
    return None


async def put(tx: Tx, key: str, value: str) -> None:
    """Set the value of a key."""
    await tx.execute(PUT, (key, value))


async def remove(tx: Tx, key: str) -> None:
    """Remove a key and its value."""
    await tx.execute("DELETE FROM _rts_meta WHERE key=?", (key,))
