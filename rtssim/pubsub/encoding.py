"""Events as consumers receive them: Avro without its schema, for what the reader may see."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import fastavro

from rtssim.bus.change_events import header_for
from rtssim.bus.event_schema import HEADER
from rtssim.pubsub.messages import message

if TYPE_CHECKING:
    from rtssim.bus.event_bus import BusEvent, EventBus
    from rtssim.bus.event_schema import EventSchema
    from rtssim.interface import Principal
    from rtssim.switches import EventSwitches

ProducerEvent, ConsumerEvent = message("ProducerEvent"), message("ConsumerEvent")


class Encoder:
    """Encodes events."""

    def __init__(self, bus: EventBus, switches: EventSwitches) -> None:
        self._bus = bus
        self._switches = switches
        self._parsed: dict[str, Any] = {}

    def consumer_event(self, event: BusEvent, who: Principal) -> Any:
        """Return the message of an event."""
        payload = io.BytesIO()
        fastavro.schemaless_writer(payload, self._schema(event.schema), self._values(event, who))
        produced = ProducerEvent(id=event.id, schema_id=event.schema.id, payload=payload.getvalue())
        return ConsumerEvent(event=produced, replay_id=self._bus.replay_id(event.number))

    def _schema(self, schema: EventSchema) -> Any:
        if schema.id not in self._parsed:
            self._parsed[schema.id] = fastavro.parse_schema(dict(schema.record))
        return self._parsed[schema.id]

    def _values(self, event: BusEvent, who: Principal) -> dict[str, Any]:
        if event.touched is None:  # a platform event: whoever may read it reads all of it
            return dict(event.values)
        hidden = frozenset(name for obj, name in who.hidden_fields if obj == event.name)
        values = {**event.values, HEADER: header_for(event, hidden, self._switches)}
        for event_field in event.schema.fields if hidden else ():
            if event_field.name in hidden:
                values.pop(event_field.name, None)
            for part, field in event_field.parts.items():
                if field.name in hidden and values.get(event_field.name):
                    values[event_field.name] = {**values[event_field.name], part: None}
        return values
