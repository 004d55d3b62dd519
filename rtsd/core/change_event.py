"""Change Data Capture: a decoded change event as changes of the push document (contract section 3).

What an event tells and does not: Change Data Capture guide, Change Event Message Structure. It carries no
SystemModstamp; LastModifiedDate, or else the second of the commit, orders it until the record is read.
Whatever cannot be taken as it stands becomes a change without fields: then the record is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from rtsd.core.field_bitmap import EventLayout, listed
from rtsd.core.ids import is_id
from rtsd.core.instant import Millis, to_iso
from rtsd.core.payload import PushedChange
from rtsd.core.schema import Kind
from rtsd.core.values import mirror_value

HEADER = "ChangeEventHeader"
MODIFIED = "LastModifiedDate"
_AUDIT = frozenset({MODIFIED, "LastModifiedById"})
"""Fields that change with every edit, and are therefore not listed among the changed ones."""
_GAP = "GAP_"
_OVERFLOW = "GAP_OVERFLOW"
_DATE_LENGTH = 10  # 2026-03-01
_Op = Literal["create", "update", "delete", "undelete"]
_OPERATIONS: dict[str, _Op] = {
    "CREATE": "create",
    "UPDATE": "update",
    "DELETE": "delete",
    "UNDELETE": "undelete",
}

FieldKind = Kind | Literal["unmirrored"] | None
"""The kind of an object's field; None for a field that rtsd does not know (yet)."""
KindOf = Callable[[str], FieldKind]
"""Returns it by the field's name."""


class Header(msgspec.Struct, rename="camel", gc=False):
    """The header of a change event (Change Data Capture guide, Change Event Header Fields)."""

    entity_name: str
    record_ids: list[str]
    change_type: str
    transaction_key: str
    sequence_number: int
    commit_timestamp: Millis
    commit_number: int
    commit_user: str = ""
    change_origin: str = ""
    nulled_fields: list[str] = []
    diff_fields: list[str] = []
    changed_fields: list[str] = []


class ChangeEvent(msgspec.Struct, frozen=True, gc=False):
    """A change event: the changes to apply, or the reason to read the whole object again."""

    header: Header
    changes: tuple[PushedChange, ...] = ()
    reread: str = ""
    """Why the event names no records: the object is read from its last cursor, deletions included ..."""
    rereads_all: bool = False
    """... or in full, as no stamp has moved."""

    @property
    def observed_at(self) -> Millis:
        """The time of the commit on Salesforce's clock (ms), which orders edits of one second."""
        return self.header.commit_timestamp


def header_of(record: Mapping[str, Any]) -> Header:
    """Return the header of a decoded event. Raises ValueError for an event without one."""
    try:
        return msgspec.convert(record[HEADER], Header)
    except (KeyError, msgspec.ValidationError) as error:
        raise ValueError(f"not a change event: {error}") from error


def change_event(
    header: Header, record: Mapping[str, Any], layout: EventLayout, kind_of: KindOf
) -> ChangeEvent:
    """Return what a decoded event means for the mirror; `kind_of` knows the fields of its object.

    Raises ValueError for a type of change that rtsd does not know, as dropping it would lose a change.
    """
    ids = header.record_ids
    if header.change_type == _OVERFLOW:
        return ChangeEvent(header, reread="too many changes in one transaction: the events were left out")
    if not ids or not all(map(is_id, ids)):
        reason = "a change of all records at once, such as of a field's type"
        return ChangeEvent(header, reread=reason, rereads_all=True)
    operation = _OPERATIONS.get(header.change_type.removeprefix(_GAP))
    if operation is None:
        raise ValueError(f"unknown type of change event: {header.change_type[:40]!r}")
    changes = [PushedChange(object=header.entity_name, op=operation, id=record_id) for record_id in ids]
    if not header.change_type.startswith(_GAP):
        for change in changes:
            change.by = header.commit_user or None
            _complete(change, header, record, layout, kind_of)
    return ChangeEvent(header, tuple(changes))


def _complete(
    change: PushedChange, header: Header, record: Mapping[str, Any], layout: EventLayout, kind_of: KindOf
) -> None:
    """Add to a change what the event says beyond its id."""
    committed = to_iso(header.commit_timestamp // 1000 * 1000)
    if change.op == "delete":
        change.modstamp, change.partial = committed, True
        return
    is_update = change.op == "update"
    if not is_update and len(header.record_ids) > 1:
        return  # several records share what an update changed only
    try:
        names = listed(layout, header.changed_fields) if is_update else None  # the others are complete
        nulled = listed(layout, header.nulled_fields)
        if listed(layout, header.diff_fields):
            return
        fields = _fields(record, layout, names, nulled)
        kinds = {name: kind_of(name) for name in fields}
        unknown = [
            name for name, value in fields.items() if kinds[name] is None and _matters(name, value, names)
        ]
        if unknown:  # the object is described because of them
            change.changed = sorted(unknown)
            return
        converted = _converted(fields, kinds)
    except ValueError:  # a bitmap or a value that rtsd cannot read
        return
    modified = fields.get(MODIFIED)
    change.fields, change.partial = converted, True
    if modified is None or change.op == "undelete":  # which moves no LastModifiedDate
        change.modstamp = committed
    else:
        change.modstamp = to_iso(modified // 1000 * 1000)
    change.changed = sorted(fields.keys() - _AUDIT) if is_update else []


def _matters(name: str, value: Any, names: frozenset[str] | None) -> bool:
    """Return whether a field that rtsd does not know has a value that the user can see.

    The schema has all fields of the object; those hidden from the user are null, and never listed. What is a
    list names settings of a user that are fields of their own.
    """
    if isinstance(value, list):
        raise ValueError(f"{name} has several values")  # noqa: TRY004 - as for every value that is not usable
    return names is not None or value is not None


def _fields(
    record: Mapping[str, Any], layout: EventLayout, names: frozenset[str] | None, nulled: frozenset[str]
) -> dict[str, Any]:
    """Return the event's values by the org's fields: those of `names`, or all."""
    found: dict[str, Any] = {}
    for name in layout.places if names is None else names & layout.places.keys():
        top, part = layout.places[name]
        value = record.get(top)
        if part is None:
            found[name] = None if name in nulled else value
        elif isinstance(value, str):  # the name of a business among person accounts
            found[top] = value
        else:
            found[name] = value.get(part) if isinstance(value, dict) and name not in nulled else None
    return found


def _converted(fields: Mapping[str, Any], kinds: Mapping[str, FieldKind]) -> dict[str, Any]:
    """Return values as a push has them, without those of fields that are not mirrored.

    Raises ValueError for a value that is not of its field's kind.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        kind = kinds[name]
        if kind is not None and kind != "unmirrored":
            found[name] = _value(kind, value)
    return found


def _value(kind: Kind, value: Any) -> Any:
    """Return a value of Avro's as REST would give it. Raises ValueError if it is not of the kind.

    Dates are milliseconds at 00:00 UTC, date-times milliseconds (Pub/Sub API guide). What unit times have is
    not documented: they are read from the record.
    """
    if value is None:
        return None
    if kind is Kind.TIME or isinstance(value, list | dict | bytes):
        raise ValueError("only the record itself tells this value")
    if kind in (Kind.DATE, Kind.DATETIME):
        if not isinstance(value, int):
            raise ValueError("not a date in milliseconds")
        try:
            moment = to_iso(value)
        except OverflowError:
            raise ValueError("a date outside the years 1 to 9999") from None
        return moment if kind is Kind.DATETIME else moment[:_DATE_LENGTH]
    return bool(value) if kind is Kind.BOOLEAN else mirror_value(kind, value)
