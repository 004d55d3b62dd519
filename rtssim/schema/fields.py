"""Constructors of fields, each with the describe flags that its type has in Salesforce."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtssim.schema.model import Field

if TYPE_CHECKING:
    from rtssim.schema.model import OnDelete

READ_ONLY: dict[str, Any] = {"createable": False, "updateable": False}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def label_of(name: str) -> str:
    """Return a label made from an API name: `FirstName` -> `First Name`, `My_Tier__c` -> `My Tier`."""
    return _WORD.sub(" ", name.removesuffix("__c").replace("_", " ").removesuffix(" Id").strip())


def ident() -> Field:
    """Return the record id field."""
    return Field("Id", "Record ID", "id", length=18, nillable=False, createable=False, updateable=False)


def text(name: str, length: int = 255, **flags: Any) -> Field:
    """Return a single line of text."""
    return Field(name, label_of(name), "string", length=length, **flags)


def area(name: str, length: int = 255, **flags: Any) -> Field:
    """Return multi-line text; beyond 255 characters it can't be filtered, sorted or grouped."""
    short = length <= 255
    return Field(
        name,
        label_of(name),
        "textarea",
        length=length,
        **{"filterable": short, "sortable": short, "groupable": short, "aggregatable": short, **flags},
    )


def picklist(name: str, values: str, length: int = 255, **flags: Any) -> Field:
    """Return a picklist; `values` are separated by `;`."""
    return Field(name, label_of(name), "picklist", length=length, picklist=tuple(values.split(";")), **flags)


def multipicklist(name: str, values: str, **flags: Any) -> Field:
    """Return a multi-select picklist, stored as `a;b`."""
    return Field(
        name,
        label_of(name),
        "multipicklist",
        length=4099,
        sortable=False,
        groupable=False,
        aggregatable=False,
        picklist=tuple(values.split(";")),
        **flags,
    )


def email(name: str, **flags: Any) -> Field:
    """Return an email address."""
    return Field(name, label_of(name), "email", length=80, **flags)


def phone(name: str, **flags: Any) -> Field:
    """Return a phone number."""
    return Field(name, label_of(name), "phone", length=40, **flags)


def url(name: str, **flags: Any) -> Field:
    """Return a URL."""
    return Field(name, label_of(name), "url", length=255, **flags)


def checkbox(name: str, *, default: bool = False, **flags: Any) -> Field:
    """Return a checkbox, never empty."""
    return Field(
        name, label_of(name), "boolean", nillable=False, aggregatable=False, default=default, **flags
    )


def integer(name: str, digits: int = 8, **flags: Any) -> Field:
    """Return a whole number."""
    return Field(name, label_of(name), "int", digits=digits, **flags)


def number(name: str, precision: int = 18, scale: int = 2, **flags: Any) -> Field:
    """Return a decimal number."""
    return _decimal(name, "double", precision, scale, flags)


def money(name: str, precision: int = 18, scale: int = 2, **flags: Any) -> Field:
    """Return a currency amount."""
    return _decimal(name, "currency", precision, scale, flags)


def percent(name: str, precision: int = 5, scale: int = 2, **flags: Any) -> Field:
    """Return a percentage; 12.5 means 12.5 %."""
    return _decimal(name, "percent", precision, scale, flags)


def _decimal(name: str, kind: str, precision: int, scale: int, flags: dict[str, Any]) -> Field:
    return Field(
        name, label_of(name), kind, precision=precision, scale=scale, **{"groupable": False, **flags}
    )


def date(name: str, **flags: Any) -> Field:
    """Return a calendar date."""
    return Field(name, label_of(name), "date", **flags)


def moment(name: str, **flags: Any) -> Field:
    """Return a point in time, to the second."""
    return Field(name, label_of(name), "datetime", **{"groupable": False, **flags})


def time_of_day(name: str, **flags: Any) -> Field:
    """Return a time of day."""
    return Field(name, label_of(name), "time", **{"groupable": False, **flags})


def reference(
    name: str, targets: str, children: str | None = None, on_delete: OnDelete = "clear", **flags: Any
) -> Field:
    """Return a reference to the objects in `targets`; `children` is the parent's child relationship."""
    relationship = name.removesuffix("__c") + "__r" if name.endswith("__c") else name.removesuffix("Id")
    return Field(
        name,
        label_of(name),
        "reference",
        length=18,
        reference_to=tuple(targets.split(";")),
        relationship=relationship,
        child_relationship=children,
        on_delete=on_delete,
        **flags,
    )


def binary(name: str, **flags: Any) -> Field:
    """Return a base64 field: bytes in the database, a URL in REST records."""
    off = {"filterable": False, "sortable": False, "groupable": False, "aggregatable": False}
    return Field(name, label_of(name), "base64", **{**off, **flags})


def auto_number(name: str, label: str) -> Field:
    """Return a name field that Salesforce numbers automatically."""
    return Field(
        name,
        label,
        "string",
        length=80,
        nillable=False,
        createable=False,
        updateable=False,
        auto_number=True,
        name_field=True,
    )


def formula(base: Field, expression: str, shown: str | None) -> Field:
    """Return `base` as a calculated field: `expression` is its SQL, `shown` its formula (None: a roll-up)."""
    return replace(
        base, calculated=True, formula=shown, expression=expression, createable=False, updateable=False
    )


def derived(base: Field, expression: str) -> Field:
    """Return `base` as a field that Salesforce derives from the row's own values (a contact's Name)."""
    return replace(base, expression=expression, createable=False, updateable=False)


def person_name() -> list[Field]:
    """Return the compound name of a person and its parts."""
    full = "CASE WHEN {t}.FirstName IS NULL THEN {t}.LastName ELSE {t}.FirstName||' '||{t}.LastName END"
    return [
        text("LastName", 80, nillable=False, compound="Name"),
        text("FirstName", 40, compound="Name"),
        picklist("Salutation", "Mr.;Ms.;Mrs.;Dr.;Prof.;Mx.", 40, compound="Name"),
        derived(text("Name", 121, nillable=False, name_field=True), full),
    ]


def address(prefix: str) -> list[Field]:
    """Return a compound address and its parts, all named with `prefix`."""
    whole = f"{prefix}Address"
    parts = [
        area(f"{prefix}Street", 255, compound=whole),
        text(f"{prefix}City", 40, compound=whole),
        text(f"{prefix}State", 80, compound=whole),
        text(f"{prefix}PostalCode", 20, compound=whole),
        text(f"{prefix}Country", 80, compound=whole),
        number(f"{prefix}Latitude", 18, 15, compound=whole),
        number(f"{prefix}Longitude", 18, 15, compound=whole),
        picklist(f"{prefix}GeocodeAccuracy", "Address;Block;City;Zip;Unknown", 40, compound=whole),
    ]
    off: dict[str, Any] = dict.fromkeys(("sortable", "groupable", "aggregatable", "createable"), False)
    return [*parts, Field(whole, label_of(whole), "address", updateable=False, **off)]


def audit(*, deletable: bool = True) -> list[Field]:
    """Return the fields that Salesforce maintains on every row."""
    kept: dict[str, Any] = {"nillable": False, **READ_ONLY}
    fields = [
        moment("CreatedDate", **kept),
        reference("CreatedById", "User", on_delete="keep", **kept),
        moment("LastModifiedDate", **kept),
        reference("LastModifiedById", "User", on_delete="keep", **kept),
        moment("SystemModstamp", **kept),
    ]
    is_deleted = checkbox("IsDeleted", **READ_ONLY)
    return [replace(is_deleted, label="Deleted"), *fields] if deletable else fields
