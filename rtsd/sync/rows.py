"""Conversion of records, from JSON, CSV or a push, to changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, normal_iso, to_iso
from rtsd.core.payload import PushedChange
from rtsd.core.privacy import MaskedRecord, MaskedValues, convert, convert_alike, stated, stored_fields
from rtsd.core.schema import ObjectSchema
from rtsd.errors import SalesforceError
from rtsd.sync.fitting import note_unfit, require_fit
from rtsd.sync.mirrored_object import MirroredObject

EVENT_SPAN_MS: Millis = 1_000
"""The time of an event's commit may be given in whole seconds."""

DELETED, MASTER = "IsDeleted", "MasterRecordId"


def read_columns(schema: ObjectSchema) -> list[str]:
    """Return the columns to read: the mirrored fields, and those that mark a deleted row."""
    extra = [DELETED] * schema.soft_deletes + [MASTER] * schema.merges
    return [*schema.names, *(name for name in extra if name not in schema.by_name)]


def converted_together(
    pushed: Sequence[PushedChange], schema_of: Callable[[str], ObjectSchema | None]
) -> dict[int, MaskedValues]:
    """Convert together the changes that state every mirrored field and no other, as most do.

    Returns their values by place. Leaves out a change whose object has no schema, and those of an object for
    which a value does not have its field's type: they are converted one by one.
    """
    places: dict[str, list[int]] = {}
    for place, change in enumerate(pushed):
        if change.fields is not None and change.op != "delete":
            places.setdefault(change.object, []).append(place)
    found: dict[int, MaskedValues] = {}
    for name, own in places.items():
        schema = schema_of(name)
        if schema is None:
            continue
        fields = {place: stored_fields(pushed[place].fields or {}) for place in own}
        whole = {place: record for place, record in fields.items() if record.keys() == schema.by_name.keys()}
        if whole:  # none among change events
            with suppress(ValueError, TypeError):
                found |= zip(whole, convert_alike(schema, list(whole.values())), strict=True)
    return found


def from_pushed(
    mirrored: MirroredObject, pushed: PushedChange, read_at: Millis, values: MaskedValues | None = None
) -> Change:
    """Convert a pushed change from the inbox, dropping fields that are not mirrored.

    `read_at` is the time of the package's read on Salesforce's clock, in ms; `values` are the converted
    fields, if that was done already. Raises ValueError or TypeError for a value that does not have its
    field's type.
    """
    schema, fields = mirrored.described.schema, None
    if pushed.fields is not None and pushed.op != "delete":
        fields = convert(schema, stored_fields(pushed.fields)) if values is None else values
        fields = stated(fields, "Id", pushed.id)
        require_fit(mirrored, pushed.id, fields)
    stamp = normal_iso(pushed.modstamp) if pushed.modstamp else ""
    if not schema.cursor:  # then only the time of the read orders the versions
        stamp = to_iso(read_at)
    if fields is not None and schema.cursor and not pushed.partial:
        # the stamp may be among the fields, beside them, or both
        stamp = max(stamp, str(fields.get(schema.cursor) or ""))
        if stamp:
            fields = stated(fields, schema.cursor, stamp)
    return Change(
        object=mirrored.name,
        id=pushed.id,
        operation=Operation(pushed.op),
        source=Source.PUSH,
        version=Version(stamp, read_at, read_at + EVENT_SPAN_MS if pushed.partial else read_at),
        fields=fields,
        changed=tuple(pushed.changed),
        master=pushed.master,
        partial=pushed.partial,
    )


def from_record(
    mirrored: MirroredObject, record: MaskedRecord, *, source: Source, seen: tuple[int, int]
) -> Change:
    """Convert a row that was read as JSON or CSV to the record's values, or to its deletion.

    `seen` is the time of the read on Salesforce's clock, as (earliest, latest) in ms. Raises SalesforceError
    for a value that does not have its field's type, as skipping the row would lose it.
    """
    schema = mirrored.described.schema
    try:
        record_id = full_id(str(record["Id"]))
        fields = stated(convert(schema, record), "Id", record_id)
        require_fit(mirrored, record_id, fields)
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
        note_unfit(mirrored, str(record.get("Id")), record)
        raise SalesforceError(
            f"{mirrored.name} {record.get('Id')}: a value does not fit its field: {error}",
            "its type may have changed; the object is described again",
        ) from error
