"""The engine that `[store]` names."""

from __future__ import annotations

from rtsd.config.model import Store
from rtsd.store.engine import Engine
from rtsd.store.sqlite.engine import SqliteEngine


def engine_of(store: Store) -> Engine:
    """Return where the mirror is kept."""
    return SqliteEngine(store.path)
