"""Avro schemas of events, and their values.

Facts: Change Data Capture guide, Change Event Body Fields; Pub/Sub API guide, Event Deserialization. The id
of a schema is a hash of its text, so a new field makes a new id.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from rtssim.schema.model import COMPOUND_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rtssim.schema.model import Field, ObjectType
    from rtssim.switches import EventSwitches

ABSENT = frozenset(
    {"Id", "IsDeleted", "SystemModstamp", "LastActivityDate", "LastViewedDate", "LastReferencedDate"}
)
"""Fields that no change event has."""
CHANGE_TYPES = ("CREATE", "UPDATE", "DELETE", "UNDELETE")
GAPS = tuple(f"GAP_{kind}" for kind in CHANGE_TYPES)
OVERFLOW = "GAP_OVERFLOW"
HEADER = "ChangeEventHeader"
_TEXTS = {"type": "array", "items": "string"}
_HEADER_TYPES: dict[str, Any] = {
    "entityName": "string",
    "recordIds": _TEXTS,
    "changeType": {
        "type": "enum",
        "name": "ChangeType",
        "symbols": [*CHANGE_TYPES, *GAPS, OVERFLOW, "SNAPSHOT"],
    },
    "changeOrigin": "string",
    "transactionKey": "string",
    "sequenceNumber": "int",
    "commitTimestamp": "long",
    "commitNumber": "long",
    "commitUser": "string",
    "nulledFields": _TEXTS,
    "diffFields": _TEXTS,
    "changedFields": _TEXTS,
}
_NUMBERS = ("double", "currency", "percent")


@dataclass(frozen=True, slots=True)
class EventField:
    """A top-level field of an event: plain, or a compound with the org's field for each part."""

    name: str
    field: Field | None
    parts: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class EventSchema:
    """A schema as GetSchema returns it; `fields` follow the header, or the fields of the system."""

    id: str
    name: str
    text: str
    record: Mapping[str, Any]
    fields: tuple[EventField, ...]


def event_name(entity: str) -> str:
    """Return the change event of an object: `Account` -> `AccountChangeEvent`, `A__c` -> `A__ChangeEvent`."""
    return entity[:-1] + "ChangeEvent" if entity.endswith("__c") else f"{entity}ChangeEvent"


def change_event_schema(obj: ObjectType, switches: EventSwitches) -> EventSchema:
    """Return the schema of an object's change event."""
    fields = tuple(_event_fields(obj))
    header = {
        "type": "record",
        "name": HEADER,
        "fields": [{"name": name, "type": kind} for name, kind in _HEADER_TYPES.items()],
    }
    defined: set[str] = set()
    columns = [{"name": HEADER, "type": header}, *(_column(f, defined, switches) for f in fields)]
    return _schema(event_name(obj.name), columns, fields)


def platform_event_schema(obj: ObjectType) -> EventSchema:
    """Return the schema of a platform event."""
    fields = tuple(EventField(f.name, f, {}) for f in obj.fields.values() if f.custom)
    columns: list[dict[str, Any]] = [
        {"name": "CreatedDate", "type": "long"},
        {"name": "CreatedById", "type": "string"},
        {"name": "EventUuid", "type": ["null", "string"], "default": None},
    ]
    return _schema(obj.name, [*columns, *(_plain(f.name, f.field) for f in fields)], fields)


def _schema(name: str, columns: list[dict[str, Any]], fields: tuple[EventField, ...]) -> EventSchema:
    record = {"type": "record", "name": name, "namespace": "com.sforce.eventbus", "fields": columns}
    text = json.dumps(record)
    digest = base64.urlsafe_b64encode(hashlib.md5(text.encode(), usedforsecurity=False).digest())
    return EventSchema(digest.decode()[:22], name, text, record, fields)


def _event_fields(obj: ObjectType) -> Iterable[EventField]:
    compounds: dict[str, dict[str, Field]] = {}
    for field in obj.fields.values():
        if field.compound:
            prefix = field.compound.removesuffix("Address") if field.compound != "Name" else ""
            compounds.setdefault(field.compound, {})[field.name.removeprefix(prefix)] = field
    for field in obj.fields.values():
        if field.name in ABSENT or field.type in COMPOUND_TYPES or field.type == "base64":
            continue
        if field.compound in compounds:
            yield EventField(field.compound, None, compounds.pop(field.compound))
        elif not field.compound and not (field.name == "Name" and field.expression):
            yield EventField(field.name, field, {})


def _plain(name: str, field: Field | None) -> dict[str, Any]:
    return {"name": name, "type": ["null", avro_type(field)], "default": None}


def avro_type(field: Field | None) -> str:
    """Return the Avro type of a field's values."""
    kind = field.type if field else ""
    if kind in _NUMBERS:
        return "double"
    return {"boolean": "boolean", "int": "int", "date": "long", "datetime": "long", "time": "long"}.get(
        kind, "string"
    )


def _column(event_field: EventField, defined: set[str], switches: EventSwitches) -> dict[str, Any]:
    if not event_field.parts:
        return _plain(event_field.name, event_field.field)
    is_name = event_field.name == "Name"
    kind = "Switchable_PersonName" if is_name else "Address"
    record: Any = kind
    if kind not in defined:
        defined.add(kind)
        columns = [_plain(name, field) for name, field in event_field.parts.items()]
        record = {"type": "record", "name": kind, "fields": columns}
    union = ["null", "string", record] if is_name and switches.name_may_be_text else ["null", record]
    return {"name": event_field.name, "type": union, "default": None}


def avro_value(field: Field, value: Any) -> Any:
    """Return a value that REST prints, as Avro has it."""
    if value is None:
        return None
    if field.type == "date":
        return (date.fromisoformat(value) - date(1970, 1, 1)).days * 86_400_000
    if field.type == "datetime":
        return int(datetime.fromisoformat(value).timestamp() * 1000)
    if field.type == "time":
        hours, minutes, seconds = value.removesuffix("Z").split(":")
        return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)
    return float(value) if field.type in _NUMBERS else value


def body(schema: EventSchema, row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the body of an event with some of a row's fields, the others null."""
    wanted = frozenset(names)
    values: dict[str, Any] = {}
    for event_field in schema.fields:
        if event_field.field is not None:
            if event_field.name in wanted:
                values[event_field.name] = avro_value(event_field.field, row.get(event_field.name))
            continue
        parts = {
            part: avro_value(field, row.get(field.name)) if field.name in wanted else None
            for part, field in event_field.parts.items()
        }
        if any(field.name in wanted for field in event_field.parts.values()):
            values[event_field.name] = parts
    return values
