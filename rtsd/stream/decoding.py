"""Events decoded: Avro without its schema, which is fetched once per id (Pub/Sub API guide)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import fastavro
from fastavro.schema import SchemaParseException

from rtsd.core.field_bitmap import EventLayout, layout_of
from rtsd.stream import pubsub_pb2 as pb
from rtsd.stream.endings import unreadable
from rtsd.stream.pubsub_client import PubSubClient


@dataclass(frozen=True, slots=True)
class BusEvent:
    """A decoded event; `before` is the replay id of the event or keepalive before it."""

    replay_id: bytes
    before: bytes
    layout: EventLayout
    values: Mapping[str, Any]


class _Schema(NamedTuple):
    parsed: Any
    layout: EventLayout


class Decoder:
    """Decodes events, and keeps the schemas: an id always means the same schema."""

    def __init__(self) -> None:
        self._schemas: dict[str, _Schema] = {}

    async def decode(self, client: PubSubClient, event: pb.ConsumerEvent, before: bytes) -> BusEvent:
        """Decode an event. Raises StreamEnded, if its schema cannot be fetched or it does not fit."""
        schema_id = event.event.schema_id
        try:
            schema = self._schemas.get(schema_id)
            if schema is None:
                schema = self._schemas[schema_id] = _parsed(await client.schema(schema_id))
            payload = io.BytesIO(event.event.payload)
            values = fastavro.schemaless_reader(payload, schema.parsed, None)
        except (ValueError, EOFError, LookupError, TypeError, SchemaParseException) as error:
            raise unreadable(f"an event of schema {schema_id} cannot be decoded: {error}") from error
        if not isinstance(values, dict) or payload.read(1):
            raise unreadable(f"an event of schema {schema_id} is longer than its schema says")
        return BusEvent(event.replay_id, before, schema.layout, values)


def _parsed(schema: dict[str, Any]) -> _Schema:
    return _Schema(fastavro.parse_schema(schema), layout_of(schema))
