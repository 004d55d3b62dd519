"""What the configuration selects of an object, compared with what the mirror was read by.

Rows read by another filter prove nothing, and a Bulk job returns what it was created with: after a change of
the configuration, the object is read again from the start.
"""

from __future__ import annotations

import msgspec

from rtsd.core.schema import ObjectConfig
from rtsd.store import audits, meta
from rtsd.store.audits import AuditProgress
from rtsd.store.database import Database, Tx
from rtsd.store.objects import StoredObject


class _Read(msgspec.Struct):
    """What a full read in progress selects."""

    selection: str
    over_rows: bool
    """True if the mirror has rows that were read by another selection."""


async def reason_to_reread(database: Database, config: ObjectConfig, stored: StoredObject) -> str:
    """Return why a loaded object must be read again, else ""."""
    if stored.cursor is None:
        return ""
    if await meta.get(database, _filter(config)) != config.where:
        return "its filter has changed"
    return await meta.get(database, _wanted(config)) or ""


async def want(tx: Tx, config: ObjectConfig, reason: str) -> None:
    """Record that the object must be read again, until it was."""
    await meta.put(tx, _wanted(config), reason)


async def resumable(database: Database, config: ObjectConfig) -> AuditProgress | None:
    """Return the progress of an interrupted read, unless it selects something else than is configured now."""
    progress = await audits.get(database, config.name)
    read = await _read(database, config)
    return progress if read is not None and read.selection == _selection(config) else None


async def is_over_rows(database: Database, config: ObjectConfig) -> bool:
    """Return whether an unfinished read started over, so that the mirror has rows of another selection."""
    read = await _read(database, config)
    return read is not None and (read.over_rows or read.selection != _selection(config))


async def begun(database: Database, tx: Tx, config: ObjectConfig) -> None:
    """Record what a full read selects; from here on, the mirror may have rows of two filters."""
    read = _Read(_selection(config), await is_over_rows(database, config))
    await meta.put(tx, _reading(config), msgspec.json.encode(read).decode())
    if await meta.get(database, _filter(config)) != config.where:
        await meta.remove(tx, _filter(config))


async def finished(tx: Tx, config: ObjectConfig) -> None:
    """Record that every row was read by the configured filter."""
    await meta.put(tx, _filter(config), config.where)
    await meta.remove(tx, _reading(config))
    await meta.remove(tx, _wanted(config))


async def _read(database: Database, config: ObjectConfig) -> _Read | None:
    found = await meta.get(database, _reading(config))
    return msgspec.json.decode(found, type=_Read) if found else None


def _selection(config: ObjectConfig) -> str:
    """Return everything of the configuration that decides which rows and columns are read."""
    parts = (config.where, sorted(config.fields), sorted(config.exclude), sorted(config.privacy.items()))
    return msgspec.json.encode(parts).decode()


def _filter(config: ObjectConfig) -> str:
    return f"filter {config.name}"


def _wanted(config: ObjectConfig) -> str:
    return f"reread {config.name}"


def _reading(config: ObjectConfig) -> str:
    return f"reading {config.name}"
