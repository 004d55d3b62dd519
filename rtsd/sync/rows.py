"""From what Salesforce sends, in JSON, CSV or a push, to changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, normal_iso, to_iso
from rtsd.core.payload import PushedChange
from rtsd.core.schema import ObjectSchema
from rtsd.core.values import MirrorValue, mirror_value
from rtsd.errors import SalesforceError
from rtsd.sync.catalog import MirroredObject

DELETED, MASTER = "IsDeleted", "MasterRecordId"


def read_columns(schema: ObjectSchema) -> list[str]:
    """What a read selects: the mirrored fields, and those that tell a deleted row."""
    extra = [DELETED] * schema.soft_deletes + [MASTER] * schema.merges
    return [*schema.names, *(name for name in extra if name not in schema.by_name)]


def from_pushed(
    mirrored: MirroredObject, schema: ObjectSchema, pushed: PushedChange, read_at: Millis
) -> Change:
    """One pushed change, already masked by the gateway; fields that are not mirrored are left out.

    Raises ValueError or TypeError when a value is not of its field's type.
    """
    fields = None
    if pushed.fields is not None and pushed.op != "delete":
        fields = {**convert(schema, pushed.fields), "Id": pushed.id}
    stamp = normal_iso(pushed.modstamp) if pushed.modstamp else ""
    if not schema.cursor:  # nothing else orders its versions than when they were seen
        stamp = to_iso(read_at)
    if fields and schema.cursor and fields.get(schema.cursor):
        stamp = max(stamp, str(fields[schema.cursor]))
    return Change(
        object=mirrored.name,
        id=pushed.id,
        operation=Operation(pushed.op),
        source=Source.PUSH,
        version=Version(stamp, read_at, read_at),
        fields=fields,
        changed=tuple(pushed.changed),
        master=pushed.master,
    )


def from_record(
    mirrored: MirroredObject,
    schema: ObjectSchema,
    record: Mapping[str, Any],
    *,
    source: Source,
    seen: tuple[int, int],
) -> Change:
    """One row that was read, as JSON or as CSV text: how the record looks, or that it is deleted.

    Raises SalesforceError when a value is not of its field's type: such a row must not be skipped.
    """
    try:
        fields = mirrored.masked(convert(schema, record))
        record_id = full_id(str(record["Id"]))
        fields["Id"] = record_id
        stamp = str(fields.get(schema.cursor) or "") if schema.cursor else to_iso(seen[0])
        deleted = record.get(DELETED) in (True, "true")
        master = record.get(MASTER) or None
        return Change(
            object=mirrored.name,
            id=record_id,
            operation=Operation.DELETE if deleted else Operation.READ,
            source=source,
            version=Version(stamp, *seen),
            fields=None if deleted else fields,
            master=full_id(str(master)) if master and deleted else None,
        )
    except (ValueError, TypeError) as error:
        raise SalesforceError(
            f"{mirrored.name} {record.get('Id')}: a value does not fit its field: {error}",
            "its type may have changed; the object is described again",
        ) from error


def from_deletion(mirrored: MirroredObject, record_id: str, deleted_at: str, seen: tuple[int, int]) -> Change:
    """One entry of the delete log."""
    return Change(
        object=mirrored.name,
        id=full_id(record_id),
        operation=Operation.DELETE,
        source=Source.INTERVAL,
        version=Version(deleted_at, *seen),
    )


def convert(schema: ObjectSchema, values: Mapping[str, Any]) -> dict[str, MirrorValue]:
    """Mirror values of the mirrored fields among `values`, by the field's own spelling."""
    converted: dict[str, MirrorValue] = {}
    for name, value in values.items():
        field = schema.by_name.get(name) or schema.by_lower_name.get(name.lower())
        if field is not None:
            converted[field.name] = mirror_value(field.kind, value)
    return converted
