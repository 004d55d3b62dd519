"""Object schemas: the fields, their SQLite types, and the field that orders versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from operator import itemgetter
from typing import Any

from rtsd.core.spelling import meant


class Kind(Enum):
    """The representation of a field's values in SQLite (contract section 4)."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INT = "int"
    REAL = "real"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"

    __hash__ = object.__hash__  # of a member's identity; Enum's hashes its name, in Python, for every value

    @property
    def declared(self) -> str:
        """The column's declared type: TEXT, INTEGER or REAL."""
        return _DECLARED.get(self, "TEXT")


_DECLARED = {Kind.BOOLEAN: "INTEGER", Kind.INT: "INTEGER", Kind.REAL: "REAL"}

_KIND_BY_TYPE = {
    "boolean": Kind.BOOLEAN,
    "int": Kind.INT,
    "long": Kind.INT,
    "double": Kind.REAL,
    "currency": Kind.REAL,
    "percent": Kind.REAL,
    "date": Kind.DATE,
    "datetime": Kind.DATETIME,
    "time": Kind.TIME,
}

COMPOUND_TYPES = frozenset({"address", "location", "complexvalue"})
"""Types made of components that are fields themselves; the compound field is not mirrored."""

BINARY_TYPES = frozenset({"base64", "byte"})
"""Types that are not mirrored: REST returns a URL (REST API guide, sObject Blob Get), Bulk refuses them."""

SYSTEM_FIELDS = frozenset(
    {
        "SystemModstamp",
        "LastModifiedDate",
        "LastModifiedById",
        "LastActivityDate",
        "LastViewedDate",
        "LastReferencedDate",
        "IsDeleted",
        "PhotoUrl",
    }
)
"""Fields of the system that change events do not have, or that every change moves (Change Data Capture
guide, Change Event Body Fields)."""

MODIFIED_BY = "LastModifiedById"
"""The user who edited the record last (Object Reference, System Fields)."""

NAMING = (("Name",), ("CaseNumber",), ("Subject",), ("FirstName", "LastName"))
"""The fields that name a record, the first that it has any of (Object Reference, Case, Task, Event)."""

CURSOR_PREFERENCE = ("SystemModstamp", "LastModifiedDate", "CreatedDate", "LoginTime")
"""Fields that can order a record's versions, best first (Object Reference, System Fields, LoginHistory)."""


def without_system_fields(names: Iterable[str]) -> list[str]:
    """Return the fields that somebody edited; those of the system only where there are no others."""
    named = list(names)
    return [name for name in named if name not in SYSTEM_FIELDS] or named


def kind_of(salesforce_type: str) -> Kind:
    """The representation of a describe's `type`; text for unknown types."""
    return _KIND_BY_TYPE.get(salesforce_type, Kind.TEXT)


@dataclass(frozen=True, slots=True)
class Field:
    """A mirrored field as described by Salesforce (REST API guide, sObject Describe)."""

    name: str
    type: str
    kind: Kind
    calculated: bool = False
    """A formula or roll-up, which can change without the record's stamp moving.

    Documented for formulas across objects, observed in live orgs for the others.
    """
    filterable: bool = True

    @property
    def is_id(self) -> bool:
        """Whether its values are ids of records."""
        return self.name == "Id" or self.type == "reference"


@dataclass(frozen=True)
class ObjectSchema:
    """An object as mirrored: the fields that become columns, in describe order."""

    name: str
    fields: tuple[Field, ...]
    cursor: str | None
    """The field that orders versions; None if the object has no such field that can be filtered."""
    replicateable: bool = True
    """Whether the `deleted` and `updated` resources exist for it (REST API guide, sObject Get Updated)."""
    soft_deletes: bool = False
    """Whether deleted rows stay readable for a while, marked by IsDeleted."""
    merges: bool = False
    """Whether MasterRecordId names the winner of a merge."""
    unmirrored: tuple[str, ...] = ()
    """Fields of the org that are not mirrored."""

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The places of the fields by name."""
        return {field.name: place for place, field in enumerate(self.fields)}

    @cached_property
    def row_of(self) -> Callable[[Any], Sequence[Any]]:
        """Return a record's values in column order; it must have every field."""
        return _getter(self.names)

    @cached_property
    def texts_in(self) -> Callable[[Any], Sequence[Any]]:
        """Return the values of a row whose fields are text as they are."""
        return _getter([self.places[name] for name in self.texts])

    @cached_property
    def by_lower_name(self) -> Mapping[str, Field]:
        """The fields by lower-cased name: the case of CSV headers is not documented, so rtsd accepts any."""
        return {field.name.lower(): field for field in self.fields}

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The names of the fields whose values are text as they are."""
        return tuple(field.name for field in self.fields if field.kind is Kind.TEXT)

    @cached_property
    def typed(self) -> tuple[Field, ...]:
        """The other fields."""
        return tuple(field for field in self.fields if field.kind is not Kind.TEXT)

    @cached_property
    def untold(self) -> frozenset[str]:
        """The fields that an event of Change Data Capture may not tell: a read of the record brings them.

        The name of a person is put together from its parts, which the event has.
        """
        calculated = {field.name for field in self.fields if field.calculated}
        names = {"Name"} if "LastName" in self.by_name else set()
        return SYSTEM_FIELDS | calculated | names

    @cached_property
    def naming(self) -> tuple[str, ...]:
        """The fields whose values name a record; none where it has no such field."""
        known = (tuple(part for part in parts if part in self.by_name) for parts in NAMING)
        return next(filter(None, known), ())

    def name_of(self, values: Mapping[str, Any]) -> str | None:
        """Return a record's name from its values; None if it has none."""
        return " ".join(str(values[part]) for part in self.naming if values.get(part)) or None

    @property
    def names(self) -> tuple[str, ...]:
        """The field names in column order."""
        return tuple(field.name for field in self.fields)

    def drifting(self, also: Iterable[str]) -> tuple[str, ...]:
        """Return the fields that can change without the record's stamp moving: calculated ones and `also`."""
        named = {name.lower() for name in also}
        return tuple(field.name for field in self.fields if field.calculated or field.name.lower() in named)


@dataclass(frozen=True, slots=True)
class ObjectConfig:
    """The configuration of a mirrored object (contract section 2, `[[objects]]`)."""

    name: str
    fields: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    where: str = ""
    """A SOQL row filter; empty for every row."""
    conditions: tuple[str, ...] = ()
    """Fields whose changes the package pushes; empty for all fields."""
    refresh: tuple[str, ...] = ()
    """Fields that behave like formulas, such as ContractLineItem.Status: refreshed periodically."""
    privacy: Mapping[str, str] = field(default_factory=dict)
    """Field -> drop, hash or last4, applied before a value reaches the disk."""


def _getter(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """Return what gets several values; the library's returns no tuple for fewer than two keys."""
    return itemgetter(*keys) if len(keys) > 1 else lambda values: [values[key] for key in keys]


def narrow(schema: ObjectSchema, config: ObjectConfig, existing: Iterable[str]) -> ObjectSchema:
    """Reduce a described object to the configured fields; Id and the cursor always stay.

    `existing` names every field visible in the org, including types that are never mirrored.
    Raises ValueError if a configured field is not visible, or cannot be masked.
    """
    existing = tuple(existing)
    known = {name.lower() for name in existing}
    named = [
        name for name in (*config.fields, *config.exclude, *config.privacy, *config.refresh) if name != "*"
    ]
    unknown = sorted({name for name in named if name.lower() not in known})
    if unknown:
        listed = ", ".join(f"{name}{meant(name, existing)}" for name in unknown)
        raise ValueError(f"{config.name} has no field {listed}, or the sync user cannot see it")
    wanted = {name.lower() for name in config.fields}
    left_out = {name.lower() for name in config.exclude}
    left_out |= {name.lower() for name, rule in config.privacy.items() if rule == "drop"}
    keep = {"id", (schema.cursor or "id").lower()}
    masked = {name.lower() for name, rule in config.privacy.items() if rule != "drop"}
    unfit = [
        field.name
        for field in schema.fields
        if field.name.lower() in masked and (field.kind is not Kind.TEXT or field.name.lower() in keep)
    ]
    if unfit:
        raise ValueError(
            f"{config.name}: hash and last4 work on text only: drop {', '.join(unfit)}, or store it as it is"
        )
    fields = tuple(
        field
        for field in schema.fields
        if field.name.lower() in keep
        or (("*" in config.fields or field.name.lower() in wanted) and field.name.lower() not in left_out)
    )
    names = {field.name for field in fields}
    return replace(
        schema,
        fields=fields,
        soft_deletes="isdeleted" in known,
        merges="masterrecordid" in known,
        unmirrored=tuple(name for name in existing if name not in names),
    )
