"""What an object looks like: its fields, how each is kept in SQLite, which one orders its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property


class Kind(Enum):
    """How a field's value is kept: the declared SQLite type is the member's value (contract section 4)."""

    TEXT = "TEXT"
    BOOLEAN = "INTEGER"
    INT = "INTEGER "  # a space apart from BOOLEAN: enum members with one value would be one member
    REAL = "REAL"
    DATE = "TEXT "
    DATETIME = "TEXT  "
    TIME = "TEXT   "

    @property
    def declared(self) -> str:
        """The type in the CREATE TABLE statement: TEXT, INTEGER or REAL."""
        return self.value.rstrip()


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
"""Types whose components are fields of their own; the compound itself is not mirrored."""

BINARY_TYPES = frozenset({"base64", "byte"})
"""Types left out of the mirror: REST answers a URL, Bulk refuses them (pull-apis.md 2.5, 4.4)."""

CURSOR_PREFERENCE = ("SystemModstamp", "LastModifiedDate", "CreatedDate", "LoginTime")
"""Fields that can order a record's versions, best first (pull-apis.md 5.1)."""


def kind_of(salesforce_type: str) -> Kind:
    """How a describe's `type` is kept; anything unknown is text."""
    return _KIND_BY_TYPE.get(salesforce_type, Kind.TEXT)


@dataclass(frozen=True, slots=True)
class Field:
    """One mirrored field, as the describe tells it (pull-apis.md 2.3)."""

    name: str
    type: str
    kind: Kind
    calculated: bool = False
    """A formula or roll-up: it can change without the record's stamp moving (pull-apis.md 5.2)."""
    filterable: bool = True
    reference_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObjectSchema:
    """One object as mirrored: the fields that become columns, in describe order."""

    name: str
    fields: tuple[Field, ...]
    cursor: str | None
    """The field that orders versions; None when the object has none that can be filtered."""
    key_prefix: str | None = None
    replicateable: bool = True
    """Whether `deleted` and `updated` answer for it (pull-apis.md 2.6)."""

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def by_lower_name(self) -> Mapping[str, Field]:
        """The fields by lower-cased name: CSV headers may come back as typed (pull-apis.md 4.3)."""
        return {field.name.lower(): field for field in self.fields}

    @property
    def names(self) -> tuple[str, ...]:
        """The field names in column order."""
        return tuple(field.name for field in self.fields)

    @property
    def soft_deletes(self) -> bool:
        """Whether deleted rows can be told apart by IsDeleted."""
        return "IsDeleted" in self.by_name
