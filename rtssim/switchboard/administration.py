"""What an administrator does while others work: schema changes, mass edits, another org's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtssim import ids
from rtssim.database import quote
from rtssim.schema import fields as make
from rtssim.schema.model import ObjectType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtssim.org import Org
    from rtssim.schema.model import Field

MAKERS: dict[str, Callable[..., Field]] = {
    "string": make.text,
    "textarea": make.area,
    "picklist": make.picklist,
    "multipicklist": make.multipicklist,
    "boolean": make.checkbox,
    "int": make.integer,
    "double": make.number,
    "currency": make.money,
    "percent": make.percent,
    "date": make.date,
    "datetime": make.moment,
    "time": make.time_of_day,
    "email": make.email,
    "phone": make.phone,
    "url": make.url,
    "reference": make.reference,
    "base64": make.binary,
}
QUIET_EDITS = (
    "mass_address_update",
    "rename_picklist_value",
    "mass_campaign_status",
    "cascade_owner",
    "opportunity_product_edit",
)


def field_from(description: Mapping[str, Any]) -> Field:
    """Return a field described as `{"name", "type", ...}`; the rest goes to the type's constructor.

    Raises ValueError for an unknown type and TypeError for an option the type doesn't have.
    """
    options = {key: value for key, value in description.items() if key not in ("name", "type")}
    maker = MAKERS.get(str(description["type"]))
    if maker is None:
        raise ValueError(f"unknown field type {description['type']!r}; known: {', '.join(MAKERS)}")
    return maker(description["name"], **options)


def change_schema(org: Org, body: Mapping[str, Any]) -> None:
    """Do one schema change: `{"op", "object", "field"?: {...} or name, "fields"?: [...]}`.

    `op` is add_object, remove_object, add_field, remove_field or change_field_type.
    """
    op, name = body["op"], str(body["object"])
    if op == "add_object":
        columns = [make.ident(), make.text("Name", 80, name_field=True), *make.audit()]
        columns += [field_from(description) for description in body.get("fields", [])]
        prefix = body.get("prefix") or free_prefix(org)
        label = make.label_of(name)
        org.add_object(ObjectType(name, label, f"{label}s", prefix, {field.name: field for field in columns}))
    elif op == "remove_object":
        org.remove_object(name)
    elif op == "add_field":
        org.add_field(name, field_from(body["field"]))
    elif op == "remove_field":
        org.remove_field(name, str(body["field"]))
    elif op == "change_field_type":
        org.change_field_type(name, str(body["field"]["name"]), field_from(body["field"]))
    else:
        raise ValueError(f"unknown op {op!r}")


def free_prefix(org: Org) -> str:
    """Return a key prefix of custom objects that none has yet."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    taken = {obj.prefix for obj in org.schema}
    return next(p for n in range(16, 36**2) if (p := f"a{digits[n // 36]}{digits[n % 36]}") not in taken)


def quiet_edit(org: Org, body: Mapping[str, Any]) -> None:
    """Do one edit that fires no trigger: `{"edit": name, "arguments": [...]}`, named as `QuietEdits` does."""
    if body["edit"] not in QUIET_EDITS:
        raise ValueError(f"unknown edit {body['edit']!r}; known: {', '.join(QUIET_EDITS)}")
    getattr(org.quiet, body["edit"])(*body.get("arguments", []))


def become_another_org(org: Org, org_id: str) -> None:
    """Swap the org's id, as the copy that a sandbox is has another: its data stays, settings included."""
    full = ids.to_18(org_id)
    if full is None:
        raise ValueError(f"{org_id!r} is no id of 15 or 18 characters")
    for obj, column in (("Organization", "Id"), ("RTS_Settings__c", "SetupOwnerId")):
        if org.schema.find(obj) is not None:
            # identifiers are quoted, and not a client's
            statement = f"UPDATE {quote(obj)} SET {quote(column)} = ? WHERE {quote(column)} = ?"  # noqa: S608
            org.store.execute(statement, [full, org.org_id])
    org.org_id = full
