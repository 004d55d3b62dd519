"""Values that the column of their field cannot hold, such as an integer beyond PostgreSQL's 32 bits.

A value like this must neither be lost in silence nor stop everything behind it. Whoever meets one notes the
field (`MirroredObject.unfit`). The next describe, within seconds, leaves the field out of the table and the
object is incomplete, with the reason, until the next start; everything else is stored as before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtsd.core.schema import Field, Kind
from rtsd.core.values import MirrorValue, mirror_value
from rtsd.errors import SalesforceError
from rtsd.sync.mirrored_object import MirroredObject

_REMEDY = "correct it in the org and restart rtsd, or exclude the field"


def require_fit(mirrored: MirroredObject, record_id: str, fields: Mapping[str, MirrorValue]) -> None:
    """Require that a change's values fit their columns. Raises ValueError after noting the field."""
    largest = mirrored.described.dialect.largest_int
    for name in mirrored.described.narrow:
        value = fields.get(name)
        if isinstance(value, int) and not -largest - 1 <= value <= largest:
            raise ValueError(_note(mirrored, name, record_id, f"an integer beyond {_bits(largest)} bits"))


def note_unfit(mirrored: MirroredObject, record_id: str, record: Mapping[str, Any]) -> None:
    """Note the field of a record, in JSON or CSV, whose value is none of the field's type."""
    by_name = mirrored.described.schema.by_lower_name
    for name, value in record.items():
        field = by_name.get(name.lower())
        if field is not None and (reason := _reason(mirrored, field, value)):
            _note(mirrored, field.name, record_id, reason)
            return


def unfit_rows(
    mirrored: MirroredObject, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> SalesforceError:
    """Return the error for rows of CSV text that the table refused, after noting the field."""
    fields = [mirrored.described.schema.by_name.get(name) for name in columns]
    identity = columns.index("Id")
    for row in rows:
        for field, text in zip(fields, row, strict=True):
            if field is not None and (reason := _reason(mirrored, field, text)):
                return SalesforceError(_note(mirrored, field.name, row[identity], reason), _REMEDY)
    return SalesforceError(f"{mirrored.name}: a value does not fit its column", "see the log of the database")


def _reason(mirrored: MirroredObject, field: Field, value: Any) -> str:
    """Return what is wrong with a value; empty if nothing is."""
    try:
        converted = mirror_value(field.kind, value)
    except ValueError:
        return f"no valid {field.type}"
    largest = mirrored.described.dialect.largest_int
    is_int = field.kind is Kind.INT and isinstance(converted, int)
    if is_int and not -largest - 1 <= int(converted or 0) <= largest:
        return f"an integer beyond {_bits(largest)} bits"
    return ""


def _note(mirrored: MirroredObject, name: str, record_id: str, what: str) -> str:
    """Note the field; return what is wrong, without the value, which may be personal data."""
    reason = f"{name} of {mirrored.name} {record_id} is {what}, which its column cannot hold"
    mirrored.unfit.setdefault(name, f"{reason}; its values are not stored. Either {_REMEDY}")
    return reason


def _bits(largest: int) -> int:
    return largest.bit_length() + 1
