"""The event bus: topics, schemas, and replay ids that tell nothing.

A replay id is 8 random bytes. Only the bus knows which position it means, and a keepalive gets an id of its
own.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import fastavro


@dataclass(frozen=True)
class Event:
    """One event as it lies on the bus."""

    uuid: str
    name: str
    schema_id: str
    payload: bytes
    replay_id: bytes


@dataclass
class Topic:
    """A topic: what was published, in order, and who waits for more."""

    schema_id: str = ""
    events: list[Event] = field(default_factory=list)
    watchers: set[asyncio.Event] = field(default_factory=set)
    _first: int = 0
    _positions: dict[bytes, int] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """The position of the oldest event that is kept."""
        return self._first

    @property
    def end(self) -> int:
        """The position after the newest event."""
        return self._first + len(self.events)

    def id_of(self, position: int) -> bytes:
        """A new replay id of a position."""
        replay_id = secrets.token_bytes(8)
        self._positions[replay_id] = position
        return replay_id

    def position(self, replay_id: bytes) -> int | None:
        """The position after a replay id; None for an id that is unknown or expired."""
        return self._positions.get(replay_id)

    def after(self, position: int, count: int) -> list[Event]:
        """So many events from a position on, at most."""
        start = position - self._first
        return self.events[start : start + count]

    def forget(self) -> None:
        """Lose all events and ids, as in a migration of the org to another instance."""
        self._first = self.end
        self.events.clear()
        self._positions.clear()

    def append(self, name: str, schema_id: str, payload: bytes) -> None:
        """Publish."""
        event = Event(secrets.token_hex(16), name, schema_id, payload, self.id_of(self.end + 1))
        self.events.append(event)
        for watcher in self.watchers:
            watcher.set()


class Bus:
    """The topics of an org, and the schemas of their events."""

    def __init__(self, *topics: str) -> None:
        self.topics = {name: Topic() for name in topics}
        self.schemas: dict[str, str] = {}

    def register(self, schema: dict[str, Any]) -> str:
        """Keep a writer schema; its id."""
        text = json.dumps(schema)
        schema_id = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:22]
        self.schemas[schema_id] = json.dumps(schema | {"uuid": schema_id})
        return schema_id

    def publish(self, topic: str, schema: dict[str, Any], record: dict[str, Any]) -> None:
        """Publish a record as schemaless Avro."""
        written = io.BytesIO()
        fastavro.schemaless_writer(written, fastavro.parse_schema(schema), record)
        self.topics[topic].append(schema["name"], self.register(schema), written.getvalue())
