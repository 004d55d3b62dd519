"""Bitmaps in the header of a change event: which fields an update lists.

`0x…` indexes the event's top-level fields, the least significant bit being field 0, the header; `P-0x…` the
parts of the compound at position P (Pub/Sub API guide, Event Deserialization Considerations; Salesforce's
sample ChangeEventHeaderUtility). There may be nested bitmaps alone; digits come in either case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_KNOWN = 10_000

_BITMAP = re.compile(r"(?:([0-9]{1,4})-)?0x([0-9A-Fa-f]+)")


@dataclass(frozen=True, slots=True)
class EventField:
    """A top-level field of an event: its name, and the org's field for each part of a compound."""

    name: str
    parts: Mapping[str, str]

    @property
    def fields(self) -> tuple[str, ...]:
        """The org's fields that it stands for."""
        return tuple(self.parts.values()) if self.parts else (self.name,)


@dataclass(frozen=True, slots=True)
class EventLayout:
    """The fields of an event's schema, by position; the header is field 0."""

    event: str
    fields: tuple[EventField, ...]
    places: Mapping[str, tuple[str, str | None]]
    """Where an event has the org's fields: the top-level field, and the part of it if it is a compound."""
    known: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)
    """The bitmaps seen, as most events list the same fields."""


def layout_of(schema: Mapping[str, Any]) -> EventLayout:
    """Return the layout of an Avro record. Raises ValueError for another schema."""
    records: dict[str, Sequence[Mapping[str, Any]]] = {}
    try:
        fields = tuple(_event_field(column, records) for column in schema["fields"])
        places = {top.name: (top.name, None) for top in fields[1:] if not top.parts}
        parts = {name: (top.name, part) for top in fields for part, name in top.parts.items()}
        return EventLayout(str(schema["name"]), fields, {**places, **parts})
    except (KeyError, TypeError) as error:
        raise ValueError("the schema of an event is not an Avro record") from error


def _event_field(column: Mapping[str, Any], records: dict[str, Any]) -> EventField:
    """A field whose union has a record is a compound; a record may be defined by an earlier field."""
    name, kinds = str(column["name"]), column["type"]
    for kind in kinds if isinstance(kinds, list) else ():
        if isinstance(kind, Mapping) and kind.get("type") == "record":
            records[str(kind["name"])] = kind["fields"]
            kind = kind["name"]  # noqa: PLW2901 - from here on it is known by its name
        if isinstance(kind, str) and kind.rpartition(".")[2] in records:
            parts = [str(part["name"]) for part in records[kind.rpartition(".")[2]]]
            return EventField(name, {part: part_field(name, part) for part in parts})
    return EventField(name, {})


def part_field(compound: str, part: str) -> str:
    """Return the org's field for a part of a compound.

    `BillingAddress.City` -> `BillingCity`, `Address.Street` -> `Street`, `Name.FirstName` -> `FirstName`, and
    of a custom geolocation `Loc__c.Latitude` -> `Loc__Latitude__s`.
    """
    if compound.endswith("__c"):
        return f"{compound.removesuffix('c')}{part}__s"
    if compound == "Name":
        return part
    return compound.removesuffix("Address") + part


def listed(layout: EventLayout, bitmaps: Iterable[str]) -> frozenset[str]:
    """Return the org's fields that bitmaps list; a compound's own bit stands for all its parts.

    Raises ValueError for a bitmap that does not parse, or that has a bit beyond the schema.
    """
    found: frozenset[str] = frozenset()
    for bitmap in bitmaps:
        names = layout.known.get(bitmap)
        if names is None:
            names = _listed(layout, bitmap)
            if len(layout.known) < MOST_KNOWN:
                layout.known[bitmap] = names
        found |= names
    return found


def _listed(layout: EventLayout, bitmap: str) -> frozenset[str]:
    match = _BITMAP.fullmatch(bitmap)
    if match is None:
        raise ValueError(f"{bitmap[:40]!r} is not a bitmap of fields")
    names: list[tuple[str, ...]] = []
    if match[1] is None:
        names = [top.fields for top in layout.fields]
    elif int(match[1]) < len(layout.fields):
        names = [(name,) for name in layout.fields[int(match[1])].parts.values()]
    bits = int(match[2], 16)
    if bits >> len(names):
        raise ValueError(f"{bitmap[:40]!r} has a bit beyond the fields of {layout.event}")
    return frozenset(name for place, fields in enumerate(names) if bits >> place & 1 for name in fields)
