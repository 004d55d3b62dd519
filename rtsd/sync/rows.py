"""From records, in JSON, CSV or a push, to changes."""

from __future__ import annotations

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, normal_iso, to_iso
from rtsd.core.payload import PushedChange
from rtsd.core.privacy import MaskedRecord, convert, stored_fields
from rtsd.core.schema import ObjectSchema
from rtsd.errors import SalesforceError
from rtsd.sync.mirrored_object import MirroredObject

DELETED, MASTER = "IsDeleted", "MasterRecordId"


def read_columns(schema: ObjectSchema) -> list[str]:
    """The columns of a read: the mirrored fields, and those that mark a deleted row."""
    extra = [DELETED] * schema.soft_deletes + [MASTER] * schema.merges
    return [*schema.names, *(name for name in extra if name not in schema.by_name)]


def from_pushed(mirrored: MirroredObject, pushed: PushedChange, read_at: Millis) -> Change:
    """One pushed change from the inbox; fields that are not mirrored are left out.

    Raises ValueError or TypeError when a value is not of its field's type.
    """
    schema, fields = mirrored.described.schema, None
    if pushed.fields is not None and pushed.op != "delete":
        fields = convert(schema, stored_fields(pushed.fields))
        fields["Id"] = pushed.id
    stamp = normal_iso(pushed.modstamp) if pushed.modstamp else ""
    if not schema.cursor:  # only the time of the read orders its versions
        stamp = to_iso(read_at)
    if fields is not None and schema.cursor:  # it may stand in the fields, beside them, or in both
        stamp = max(stamp, str(fields.get(schema.cursor) or ""))
        if stamp:
            fields[schema.cursor] = stamp
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
    mirrored: MirroredObject, record: MaskedRecord, *, source: Source, seen: tuple[int, int]
) -> Change:
    """One row that was read, as JSON or as CSV text: the record's values, or its deletion.

    Raises SalesforceError when a value is not of its field's type: such a row must not be skipped.
    """
    schema = mirrored.described.schema
    try:
        fields = convert(schema, record)
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
