"""An administrator's changes to the org, from JSON: schema changes, untriggered edits, another org id."""

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


def field_from(description: Mapping[str, Any]) -> Field:
    """Return the field that `{"name", "type", ...}` describes; further keys go to the type's constructor.

    Raises ValueError for an unknown type and TypeError for an option that the type doesn't have.
    """
    options = {key: value for key, value in description.items() if key not in ("name", "type")}
    maker = MAKERS.get(str(description["type"]))
    if maker is None:
        raise ValueError(f"unknown field type {description['type']!r}; known: {', '.join(MAKERS)}")
    return maker(description["name"], **options)


def change_schema(org: Org, body: Mapping[str, Any]) -> None:
    """Apply a schema change: `{"op", "object", "field"?: {...} or name, "fields"?: [...]}`.

    `op` is add_object, remove_object, add_field, remove_field or change_field_type.
    """
    op, name = body["op"], str(body["object"])
    if op == "add_object":
        columns = [make.ident(), make.text("Name", 80, name_field=True), *make.audit()]
        columns += [field_from(description) for description in body.get("fields", [])]
        prefix = body.get("prefix") or org.schema.free_prefix()
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


def edit_untriggered(org: Org, body: Mapping[str, Any]) -> None:
    """Make an edit that fires no trigger: `{"edit": name, "arguments": [...]}`."""
    edits: dict[str, Callable[..., int]] = {
        "mass_address_update": org.untriggered.mass_address_update,
        "rename_picklist_value": org.untriggered.rename_picklist_value,
        "mass_campaign_status": org.untriggered.mass_campaign_status,
        "cascade_owner": org.untriggered.cascade_owner,
        "opportunity_product_edit": org.untriggered.opportunity_product_edit,
    }
    if body["edit"] not in edits:
        raise ValueError(f"unknown edit {body['edit']!r}; known: {', '.join(edits)}")
    edits[body["edit"]](*body.get("arguments", []))


def change_org_id(org: Org, org_id: str) -> None:
    """Give the org another id, as a sandbox copy has; all data stays, including the package's settings."""
    full = ids.to_18(org_id)
    if full is None:
        raise ValueError(f"{org_id!r} is not an id of 15 or 18 characters")
    for obj, column in (("Organization", "Id"), ("RTS_Settings__c", "SetupOwnerId")):
        if org.schema.find(obj) is not None:
            statement = f"UPDATE {quote(obj)} SET {quote(column)} = ? WHERE {quote(column)} = ?"
            org.database.execute(statement, [full, org.org_id])
    org.org_id = full
