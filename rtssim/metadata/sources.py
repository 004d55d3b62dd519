"""Metadata source files: the object of a `.object` file, and the object of an Apex trigger."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from rtssim.metadata.archive import NAMESPACE, MetadataError, has, parse_xml, text_of
from rtssim.schema import fields as make
from rtssim.schema.model import Field, ObjectType

if TYPE_CHECKING:
    from collections.abc import Callable

_EVENTS = re.compile(r"\bon\s+\w+\s*\(([^)]*)\)", re.IGNORECASE)
_RIGHTS = {
    "PermissionsCreate": "allowCreate",
    "PermissionsRead": "allowRead",
    "PermissionsEdit": "allowEdit",
    "PermissionsDelete": "allowDelete",
    "PermissionsViewAllRecords": "viewAllRecords",
    "PermissionsModifyAllRecords": "modifyAllRecords",
}
"""Field of ObjectPermissions -> element of a permission set."""
_MAKERS: dict[str, Callable[..., Field]] = {
    "Text": make.text,
    "TextArea": make.area,
    "LongTextArea": make.area,
    "Html": make.area,
    "Checkbox": make.checkbox,
    "Currency": make.money,
    "Percent": make.percent,
    "Date": make.date,
    "DateTime": make.moment,
    "Time": make.time_of_day,
    "Email": make.email,
    "Phone": make.phone,
    "Url": make.url,
    "Number": make.number,
}


def trigger_object(content: bytes) -> str | None:
    """Return the object that an Apex trigger is on."""
    words = content.decode(errors="replace").split()
    for index, word in enumerate(words[:-1]):
        if word.lower() == "on":
            return words[index + 1].partition("(")[0]
    return None


def trigger_events(content: bytes) -> list[str]:
    """Return the events of an Apex trigger, such as `before insert`."""
    match = _EVENTS.search(content.decode(errors="replace"))
    return [" ".join(event.lower().split()) for event in match[1].split(",")] if match else []


def object_permissions(root: ET.Element) -> list[dict[str, str | bool]]:
    """Return what a permission set grants on objects, as fields of ObjectPermissions; nothing is no row."""
    found: list[dict[str, str | bool]] = []
    for part in root.iter(f"{NAMESPACE}objectPermissions"):
        rights = {field: text_of(part, tag) == "true" for field, tag in _RIGHTS.items()}
        if any(rights.values()):
            found.append({"SobjectType": text_of(part, "object"), **rights})
    return found


def object_of(name: str, content: bytes, prefix: str) -> ObjectType:
    """Return the object that a `.object` file describes."""
    root = parse_xml(content, name)
    setting = has(root, "customSettingsType")
    columns = [make.ident(), *(_setting_columns() if setting else _record_columns(root)), *make.audit()]
    columns += [_field_of(name, element) for element in root.findall(f"{NAMESPACE}fields")]
    label = text_of(root, "label", make.label_of(name))
    plural = text_of(root, "pluralLabel", label)
    return ObjectType(
        name,
        label,
        plural,
        prefix,
        {column.name: column for column in columns},
        custom_setting=setting,
        undeletable=not setting,
    )


def _setting_columns() -> list[Field]:
    return [
        make.text("Name", 80, name_field=True),
        make.reference("SetupOwnerId", "Organization;Profile;User", None, "keep", nillable=False),
    ]


def _record_columns(root: ET.Element) -> list[Field]:
    owner = make.reference("OwnerId", "Group;User", None, "keep", nillable=False, default="$user")
    if text_of(root, "nameField/type") == "AutoNumber":
        return [owner, make.auto_number("Name", text_of(root, "nameField/label", "Name"))]
    return [owner, make.text("Name", 80, name_field=True)]


def _field_of(owner: str, element: ET.Element) -> Field:
    """Return the field that a `<fields>` element describes; raises `MetadataError` for an unknown type."""
    name = text_of(element, "fullName")
    kind = text_of(element, "type")
    maker = _MAKERS.get(kind)
    if kind in ("Lookup", "MasterDetail"):
        column = make.reference(name, text_of(element, "referenceTo"))
    elif kind == "Picklist":
        values = [value.text or "" for value in element.iter(f"{NAMESPACE}fullName")][1:]
        column = make.picklist(name, ";".join(values))
    elif maker is None or not name:
        raise MetadataError(f"{owner}.{name}: unknown field type {kind!r}")
    elif kind in ("Text", "TextArea", "LongTextArea", "Html"):
        column = maker(name, int(text_of(element, "length", "255")))
    elif kind == "Checkbox":
        column = maker(name, default=text_of(element, "defaultValue") == "true")
    elif kind in ("Number", "Currency", "Percent"):
        precision, scale = (int(text_of(element, part, "0")) for part in ("precision", "scale"))
        column = maker(name, precision or 18, scale)
    else:
        column = maker(name)
    return replace(
        column,
        label=text_of(element, "label", column.label),
        external_id=text_of(element, "externalId") == "true",
        unique=text_of(element, "unique") == "true",
        nillable=column.nillable and text_of(element, "required") != "true",
    )
