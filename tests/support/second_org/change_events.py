"""Change Data Capture: each edit of a record, and the event that tells of it.

Schemas, bitmaps and unions are written as the documents allow and as few would: fields in an order of their
own, `[T, "null"]`, plain booleans, a named type used twice, hex in lower case and of any length, nested
elements first or alone.
"""

from __future__ import annotations

import difflib
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from tests.support.second_org.bus import Bus
from tests.support.second_org.data import USER_ID
from tests.support.second_org.records import Field, Records, Row, SObject, Value

NAMESPACE = "com.sforce.eventbus"
TOPIC = "/data/ChangeEvents"
OVERFLOWN = "000000000000000AAA"
_TYPES = {
    **dict.fromkeys(("double", "currency", "percent"), "double"),
    **dict.fromkeys(("date", "datetime", "time"), "long"),
    "boolean": "boolean",
    "int": "int",
}
_NEVER = ("Id", "IsDeleted", "SystemModstamp", "MasterRecordId")
_KINDS = ("CREATE", "UPDATE", "DELETE", "UNDELETE")
_HEADER = {
    "type": "record",
    "name": "ChangeEventHeader",
    "fields": [
        {"name": "commitNumber", "type": "long"},
        {
            "name": "changeType",
            "type": {
                "type": "enum",
                "name": "ChangeType",
                "symbols": [*_KINDS, *(f"GAP_{kind}" for kind in _KINDS), "GAP_OVERFLOW", "SNAPSHOT"],
            },
        },
        *(
            {"name": name, "type": {"type": "array", "items": "string"}}
            for name in ("diffFields", "nulledFields", "changedFields", "recordIds")
        ),
        *(
            {"name": name, "type": "string"}
            for name in ("entityName", "changeOrigin", "transactionKey", "commitUser")
        ),
        {"name": "sequenceNumber", "type": "int"},
        {"name": "commitTimestamp", "type": "long"},
    ],
}


@dataclass(frozen=True)
class Slot:
    """A top-level field of an event: one field of the object, or the components of a compound."""

    name: str
    field: Field | None
    parts: Mapping[str, Field | None]

    @property
    def unset(self) -> Any:
        """What stands where nothing changed; it means nothing."""
        if self.field and self.field.type == "boolean":
            return False
        return "" if self.name == "Name" and self.parts else None


def slots(entity: SObject) -> list[Slot]:
    """The fields after the header; those that are hidden from the sync user are among them."""
    compounds = {kind.compound for kind in entity.fields.values() if kind.compound}
    found = [
        Slot(name, None, _parts(entity, name) | ({"GeocodeAccuracy": None} if "Address" in name else {}))
        for name in compounds
    ]
    found += [
        Slot(name, kind, {})
        for name, kind in entity.fields.items()
        if not (name in _NEVER or name in compounds or kind.compound or kind.formula or kind.type == "base64")
    ]
    found.append(Slot("Jigsaw", Field("Jigsaw", hidden=True), {}))
    return sorted(found, key=lambda slot: slot.name[::-1])


def _parts(entity: SObject, compound: str) -> dict[str, Field | None]:
    stem = compound.removesuffix("Address").removesuffix("c") if compound != "Name" else ""
    return {
        name.removeprefix(stem).removesuffix("__s"): kind
        for name, kind in entity.fields.items()
        if kind.compound == compound
    }


def schema(entity: SObject) -> dict[str, Any]:
    """The writer schema of an object's events."""
    made: set[str] = set()
    fields = [
        {"name": slot.name, "type": _type(slot, number, made)} for number, slot in enumerate(slots(entity))
    ]
    name = (entity.name.removesuffix("c") if entity.name.endswith("__c") else entity.name) + "ChangeEvent"
    header = {"name": "ChangeEventHeader", "type": _HEADER}
    return {"type": "record", "name": name, "namespace": NAMESPACE, "fields": [header, *fields]}


def _type(slot: Slot, number: int, made: set[str]) -> Any:
    if slot.parts:
        name = "Address" if slot.name.endswith("Address") else slot.name.replace("__c", "_Location")
        name = name if name != "Name" else "PersonName"
        record: Any = f"{NAMESPACE}.{name}"
        if name not in made:
            made.add(name)
            parts = [{"name": part, "type": _union(kind, 0)} for part, kind in slot.parts.items()]
            record = {"type": "record", "name": name, "fields": parts}
        return ["string", record] if slot.name == "Name" else ["null", record]
    if slot.name == "Name":  # where an account may be a person
        parts = [{"name": part, "type": ["null", "string"]} for part in ("LastName", "FirstName")]
        return ["null", "string", {"type": "record", "name": "Switchable_PersonName", "fields": parts}]
    return _union(slot.field, number)


def _union(kind: Field | None, number: int) -> Any:
    avro = _TYPES.get(kind.type, "string") if kind else "string"
    if avro == "boolean":
        return avro
    return [avro, "null"] if number % 2 else ["null", avro]


def _value(value: Value, kind: Field | None) -> Any:
    if kind is None or value is None or kind.hidden:
        return None
    if kind.type == "time":
        at = time.fromisoformat(str(value).removesuffix("Z"))
        return ((at.hour * 60 + at.minute) * 60 + at.second) * 1000 + at.microsecond // 1000
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000)
    return float(value) if _TYPES.get(kind.type) == "double" else value


class Bits:
    """A bitmap under construction, written as `[nested…, top level]`, without an empty one."""

    def __init__(self) -> None:
        self._top = 0
        self._nested: dict[int, int] = {}

    def add(self, position: int, part: int | None = None) -> None:
        """Set the bit of a field, or of a part of it."""
        if part is None:
            self._top |= 1 << position
        else:
            self._nested[position] = self._nested.get(position, 0) | 1 << part

    def text(self) -> list[str]:
        """The elements; lower case, as long as they happen to be."""
        nested = [f"{position}-0x{bits:x}" for position, bits in self._nested.items()]
        return [*nested, *([f"0x{self._top:x}"] if self._top else [])]


class _Update:
    """What an update event holds of a row, and its bitmaps."""

    def __init__(self, row: Row, old: Row, named: set[str], *, nested_only: bool) -> None:
        self._row = row
        self._old = old
        self._named = named if nested_only else named | {"LastModifiedDate"}
        self._changed, self._nulled, self._diffs = Bits(), Bits(), Bits()

    def bitmaps(self) -> dict[str, list[str]]:
        """The lists of the header."""
        told = {"changedFields": self._changed, "nulledFields": self._nulled, "diffFields": self._diffs}
        return {name: bits.text() for name, bits in told.items()}

    def slot(self, position: int, slot: Slot) -> Any:
        """The value of a top-level field."""
        if slot.parts:
            return self._compound(position, slot)
        kind = slot.field
        if kind is None or kind.hidden or kind.name not in self._named:
            return slot.unset
        self._changed.add(position)
        value = _value(self._row[kind.name], kind)
        if value is None:
            self._nulled.add(position)
        elif (diff := _diff(self._old[kind.name], self._row[kind.name])) is not None:
            self._diffs.add(position)
            return diff
        return value

    def _compound(self, position: int, slot: Slot) -> Any:
        known = {part: kind for part, kind in slot.parts.items() if kind}
        touched = {part for part, kind in known.items() if kind.name in self._named}
        values = {part: _value(self._row[known[part].name], known[part]) for part in touched}
        if not touched:
            return slot.unset
        if len(touched) == len(known) and set(values.values()) == {None}:
            self._changed.add(position)
            self._nulled.add(position)
            return slot.unset
        for number, part in enumerate(slot.parts):
            if part in touched:
                self._changed.add(position, number)
                if values[part] is None:
                    self._nulled.add(position, number)
        return {part: values.get(part) for part in slot.parts}


def _in_compounds(entity: SObject, values: Mapping[str, Value]) -> bool:
    """Whether an edit is of components alone; then the event need not name the time of the edit."""
    kinds = [entity.fields[name] for name in values]
    return all(kind.compound or kind.name in {other.compound for other in kinds} for kind in kinds)


class Capture:
    """Edits the org's records and publishes what Change Data Capture tells of it."""

    def __init__(self, records: Records, bus: Bus) -> None:
        self.records = records
        self.bus = bus
        self._commit = 10_000_000_000

    def keys(self, name: str) -> list[str]:
        """The ids of an object's rows, in the order of their creation."""
        return list(self.records.objects[name].rows)

    def create(self, name: str, **values: Any) -> str:
        """Create a record: the event is complete."""
        key = self.records.create(name, **values)
        self._publish(name, "CREATE", (key,), self._complete(name, key))
        return key

    def update(self, name: str, *keys: str, **values: Any) -> None:
        """Make the same edit of records; one event tells of all."""
        entity = self.records.objects[name]
        old = dict(entity.rows[keys[0]])
        for key in keys:
            self.records.update(name, key, **values)
        written = _Update(entity.rows[keys[0]], old, set(values), nested_only=_in_compounds(entity, values))
        body = {slot.name: written.slot(number, slot) for number, slot in enumerate(slots(entity), 1)}
        self._publish(name, "UPDATE", keys, body, written.bitmaps())

    def delete(self, name: str, key: str) -> None:
        """Delete a record: the event has its id only."""
        self.records.delete(name, key)
        self._publish(name, "DELETE", (key,))

    def undelete(self, name: str, key: str) -> None:
        """Undelete a record: the event is complete."""
        self.records.undelete(name, key)
        self._publish(name, "UNDELETE", (key,), self._complete(name, key))

    def gap(self, name: str, kind: str, *keys: str) -> None:
        """Tell that records changed, and nothing else; `OVERFLOWN` is the id of an overflow."""
        self._publish(name, f"GAP_{kind}", keys)

    def convert(self, name: str) -> None:
        """Tell of all records of an object at once, as after the conversion of a field's type."""
        self._publish(name, "UPDATE", (f"{self.records.objects[name].prefix}*",))

    def _complete(self, name: str, key: str) -> dict[str, Any]:
        entity = self.records.objects[name]
        row = entity.rows[key]
        told: dict[str, Any] = {}
        for slot in slots(entity):
            if slot.parts:
                parts = {
                    part: _value(row[kind.name], kind) if kind else None for part, kind in slot.parts.items()
                }
                told[slot.name] = slot.unset if set(parts.values()) == {None} else parts
            else:
                told[slot.name] = _value(row.get(slot.name), slot.field)
        return told

    def _publish(
        self,
        name: str,
        kind: str,
        keys: tuple[str, ...],
        body: Mapping[str, Any] | None = None,
        bitmaps: Mapping[str, list[str]] | None = None,
    ) -> None:
        entity = self.records.objects[name]
        self._commit += 1_009
        header = {
            "entityName": name,
            "recordIds": list(keys),
            "changeType": kind,
            "changeOrigin": "com/salesforce/api/rest/66.0;client=second",
            "transactionKey": str(uuid.uuid4()),
            "sequenceNumber": 1,
            "commitTimestamp": int(self.records.stamp().timestamp() * 1000),
            "commitNumber": self._commit,
            "commitUser": USER_ID,
            **dict.fromkeys(("nulledFields", "diffFields", "changedFields"), ()),
            **(bitmaps or {}),
        }
        told = body or {slot.name: slot.unset for slot in slots(entity)}
        self.bus.publish(TOPIC, schema(entity), {"ChangeEventHeader": header, **told})


def _diff(old: Value, new: Value) -> str | None:
    """A unified diff of long texts (Change Data Capture guide, diffFields)."""
    if not (isinstance(old, str) and isinstance(new, str)) or len(new) < 1_000:
        return None
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
    hunks = "\n".join(list(lines)[2:])
    if len(hunks) > len(new) / 2:
        return None
    return f"--- \n+++ {hashlib.sha256(new.encode()).hexdigest()}\n{hunks}\n"
