"""Events decoded: Avro without its schema, which is fetched once per id (Pub/Sub API guide)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import fastavro
import msgspec
from fastavro.schema import SchemaParseException

from rtsd.core.change_event import HEADER
from rtsd.core.field_bitmap import EventLayout, layout_of
from rtsd.core.instant import Millis
from rtsd.core.position import Position
from rtsd.stream import pubsub_pb2 as pb
from rtsd.stream.endings import unreadable
from rtsd.stream.pubsub_client import PubSubClient


class BusEvent(msgspec.Struct, frozen=True, gc=False):
    """A decoded event; `before` is the position of the event or keepalive before it."""

    position: Position
    before: Position
    layout: EventLayout
    values: Mapping[str, Any]


class _Schema(NamedTuple):
    parsed: Any
    layout: EventLayout


class Decoder:
    """Decodes a topic's events, and keeps the schemas: an id always means the same schema."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._schemas: dict[str, _Schema] = {}

    async def decode(
        self, client: PubSubClient, event: pb.ConsumerEvent, before: Position, now: Millis
    ) -> BusEvent:
        """Decode an event that arrived at `now` (local ms).

        Raises StreamEnded, if its schema cannot be fetched or it does not fit.
        """
        schema_id = event.event.schema_id
        try:
            schema = self._schemas.get(schema_id)
            if schema is None:
                schema = self._schemas[schema_id] = _parsed(await client.schema(schema_id, self._topic))
            payload = io.BytesIO(event.event.payload)
            values = fastavro.schemaless_reader(payload, schema.parsed, None)
        except (ValueError, EOFError, LookupError, TypeError, SchemaParseException) as error:
            raise unreadable(f"an event of schema {schema_id} cannot be decoded: {error}") from error
        if not isinstance(values, dict) or payload.read(1):
            raise unreadable(f"an event of schema {schema_id} is longer than its schema says")
        position = Position(event.replay_id, min(_published_at(values) or now, now))
        return BusEvent(position, before, schema.layout, values)


def _published_at(values: Mapping[str, Any]) -> Millis | None:
    """Return the time of a change event's commit, or of a platform event's publication.

    Both are milliseconds on Salesforce's clock (Pub/Sub API guide, Event Message Structure).
    """
    header = values.get(HEADER)
    found = header.get("commitTimestamp") if isinstance(header, dict) else values.get("CreatedDate")
    return found if isinstance(found, int) else None


def _parsed(schema: dict[str, Any]) -> _Schema:
    return _Schema(fastavro.parse_schema(schema), layout_of(schema))
