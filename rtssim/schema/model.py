"""Objects and fields of the org, with the lookups that the query planner and DML need."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TEXT_TYPES = frozenset(
    {
        "string",
        "textarea",
        "picklist",
        "multipicklist",
        "combobox",
        "email",
        "phone",
        "url",
        "encryptedstring",
    }
)
NUMBER_TYPES = frozenset({"int", "double", "currency", "percent"})
ID_TYPES = frozenset({"id", "reference"})
COMPOUND_TYPES = frozenset({"address", "location"})

OnDelete = Literal["cascade", "clear", "keep"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field: derived if it has an `expression` (SQL over the row alias `{t}`), otherwise stored.

    Stored forms: boolean 0/1; int, double, currency, percent as numbers; date, datetime (`...Z`, whole
    seconds) and time as text; base64 as bytes; everything else as text. Empty is NULL.
    """

    name: str
    label: str
    type: str
    length: int = 0
    digits: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    filterable: bool = True
    sortable: bool = True
    groupable: bool = True
    aggregatable: bool = True
    calculated: bool = False
    formula: str | None = None
    expression: str | None = None
    compound: str | None = None
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    child_relationship: str | None = None
    on_delete: OnDelete = "clear"
    picklist: tuple[str, ...] = ()
    restricted_picklist: bool = False
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    auto_number: bool = False
    name_field: bool = False
    default: str | float | bool | None = None

    @property
    def custom(self) -> bool:
        """True for a field that a customer added."""
        return self.name.endswith("__c")

    @property
    def defaulted_on_create(self) -> bool:
        """True if Salesforce fills the field in when a create leaves it out."""
        return self.default is not None or self.type == "boolean" or not self.createable

    @property
    def required(self) -> bool:
        """True if a create must set the field."""
        return not self.nillable and self.createable and not self.defaulted_on_create

    @property
    def stored(self) -> bool:
        """True if the table has a column for the field."""
        return self.expression is None and self.type not in COMPOUND_TYPES

    @property
    def polymorphic(self) -> bool:
        """True if the field can refer to several objects."""
        return len(self.reference_to) > 1


@dataclass(slots=True)
class ObjectType:
    """An object: its fields in describe order, and the operations it allows."""

    name: str
    label: str
    plural: str
    prefix: str
    fields: dict[str, Field]
    custom_setting: bool = False
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    undeletable: bool = True
    mergeable: bool = False
    triggerable: bool = True
    replicateable: bool = True
    searchable: bool = True
    layoutable: bool = True
    changed: datetime = field(default_factory=lambda: datetime(2019, 1, 1, tzinfo=UTC))

    @property
    def custom(self) -> bool:
        """True for an object that a customer added."""
        return self.name.endswith("__c")

    def find(self, name: str) -> Field | None:
        """Return the field with that name, case ignored."""
        exact = self.fields.get(name)
        if exact is not None:
            return exact
        folded = name.lower()
        return next((field for field in self.fields.values() if field.name.lower() == folded), None)

    def relationship(self, name: str) -> Field | None:
        """Return the reference field whose parent relationship has that name, case ignored."""
        folded = name.lower()
        return next(
            (f for f in self.fields.values() if f.relationship and f.relationship.lower() == folded), None
        )

    def stored_fields(self) -> list[Field]:
        """Return the fields that have a column."""
        return [f for f in self.fields.values() if f.stored]

    def name_field(self) -> Field | None:
        """Return the field that names a row."""
        return next((f for f in self.fields.values() if f.name_field), None)


@dataclass(frozen=True, slots=True)
class Child:
    """A reference from another object, which subqueries, cascades and merges follow."""

    object: ObjectType
    field: Field


class Schema:
    """All objects of the org, found by name with case ignored."""

    def __init__(self, objects: Iterable[ObjectType]) -> None:
        self._objects: dict[str, ObjectType] = {}
        self.changed = datetime(2019, 1, 1, tzinfo=UTC)
        for obj in objects:
            self._objects[obj.name.lower()] = obj

    def __iter__(self) -> Iterator[ObjectType]:
        return iter(self._objects.values())

    def find(self, name: str) -> ObjectType | None:
        """Return the object with that name, or None."""
        return self._objects.get(name.lower())

    def __getitem__(self, name: str) -> ObjectType:
        return self._objects[name.lower()]

    def add(self, obj: ObjectType) -> None:
        """Add an object."""
        self._objects[obj.name.lower()] = obj

    def remove(self, name: str) -> None:
        """Remove an object."""
        del self._objects[name.lower()]

    def by_prefix(self, record_id: str) -> ObjectType | None:
        """Return the object of an id."""
        return next((obj for obj in self if obj.prefix == record_id[:3]), None)

    def free_prefix(self) -> str:
        """Return an unused key prefix for a custom object."""
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"
        used = {obj.prefix for obj in self}
        return next(p for n in range(16, 36**2) if (p := f"a{digits[n // 36]}{digits[n % 36]}") not in used)

    def children(self, parent: ObjectType) -> list[Child]:
        """Return every stored reference field that can refer to `parent`."""
        return [
            Child(obj, field)
            for obj in self
            for field in obj.fields.values()
            if parent.name in field.reference_to and field.stored
        ]
