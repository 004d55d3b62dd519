"""Objects and fields of the org, and the look-ups the query planner and DML need."""

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
    """One field. `expression` is the SQL of a derived field over the row alias `{t}`, else it is stored.

    Stored forms: boolean 0/1; int, double, currency, percent as numbers; date, datetime (`...Z`, whole
    seconds) and time as text; base64 as bytes; everything else text. Empty is NULL.
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
    html: bool = False
    default: str | float | bool | None = None

    @property
    def custom(self) -> bool:
        """Whether a customer added it."""
        return self.name.endswith("__c")

    @property
    def defaulted_on_create(self) -> bool:
        """Whether Salesforce fills it in when a create leaves it out."""
        return self.default is not None or self.type == "boolean" or not self.createable

    @property
    def required(self) -> bool:
        """Whether a create must bring it."""
        return not self.nillable and self.createable and not self.defaulted_on_create

    @property
    def stored(self) -> bool:
        """Whether the table has a column for it."""
        return self.expression is None and self.type not in COMPOUND_TYPES

    @property
    def polymorphic(self) -> bool:
        """Whether it can point to several objects."""
        return len(self.reference_to) > 1


@dataclass(slots=True)
class ObjectType:
    """One object: its fields in describe order, and what it allows."""

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
    tooling: bool = False
    changed: datetime = field(default_factory=lambda: datetime(2019, 1, 1, tzinfo=UTC))

    @property
    def custom(self) -> bool:
        """Whether a customer added it."""
        return self.name.endswith("__c")

    def find(self, name: str) -> Field | None:
        """Return the field of that name, whatever its case."""
        exact = self.fields.get(name)
        if exact is not None:
            return exact
        folded = name.lower()
        return next((field for field in self.fields.values() if field.name.lower() == folded), None)

    def relationship(self, name: str) -> Field | None:
        """Return the reference field whose parent relationship has that name, whatever its case."""
        folded = name.lower()
        return next(
            (f for f in self.fields.values() if f.relationship and f.relationship.lower() == folded), None
        )

    def stored_fields(self) -> list[Field]:
        """Fields that have a column."""
        return [f for f in self.fields.values() if f.stored]

    def name_field(self) -> Field | None:
        """Return the field that names a row."""
        return next((f for f in self.fields.values() if f.name_field), None)


@dataclass(frozen=True, slots=True)
class Child:
    """A reference from another object: what a subquery, a cascade and a merge follow."""

    object: ObjectType
    field: Field


class Schema:
    """All objects of the org, found whatever the case of their names."""

    def __init__(self, objects: Iterable[ObjectType]) -> None:
        self._objects: dict[str, ObjectType] = {}
        self.changed = datetime(2019, 1, 1, tzinfo=UTC)
        for obj in objects:
            self._objects[obj.name.lower()] = obj

    def __iter__(self) -> Iterator[ObjectType]:
        return iter(self._objects.values())

    def find(self, name: str) -> ObjectType | None:
        """Return the object of that name, or None."""
        return self._objects.get(name.lower())

    def __getitem__(self, name: str) -> ObjectType:
        return self._objects[name.lower()]

    def add(self, obj: ObjectType) -> None:
        """Add an object."""
        self._objects[obj.name.lower()] = obj

    def remove(self, name: str) -> None:
        """Forget an object."""
        del self._objects[name.lower()]

    def by_prefix(self, record_id: str) -> ObjectType | None:
        """Return the object an id belongs to."""
        return next((obj for obj in self if obj.prefix == record_id[:3]), None)

    def children(self, parent: ObjectType) -> list[Child]:
        """Every reference field that can point to `parent`, the audit references to users left out."""
        return [
            Child(obj, field)
            for obj in self
            for field in obj.fields.values()
            if parent.name in field.reference_to and field.stored
        ]
