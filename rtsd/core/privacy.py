"""The one door for values: masked or dropped before they are stored (contract section 2, `privacy`).

The inbox takes a MaskedPush, a change carries MaskedValues, loads and refreshes take MaskedRows. Only this
module makes them, so a channel that forgets it does not pass the type checker::

    push ─ masked_push ─► MaskedPush ─► inbox ─ stored_fields ─► MaskedRecord ─ convert ─► MaskedValues
    REST ─ Privacy.record ─────────────────────────────────────► MaskedRecord ─ convert ─► MaskedValues
    Bulk ─ Privacy.rows ─► MaskedRows ─ records ───────────────► MaskedRecord ─ convert ─► MaskedValues
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType

from rtsd.core.payload import Changes, Push, encode_push
from rtsd.core.schema import CURSOR_PREFERENCE, Kind, ObjectSchema
from rtsd.core.values import MirrorValue, mirror_value

Mask = Callable[[MirrorValue], MirrorValue]
"""Turns a value into the form that may be stored."""

MaskedPush = NewType("MaskedPush", bytes)
"""A push document whose values are masked, encoded: what the inbox keeps."""
MaskedRecord = NewType("MaskedRecord", dict[str, Any])
"""A record as Salesforce sends it, in JSON or as CSV text, with its values masked."""
MaskedValues = NewType("MaskedValues", dict[str, MirrorValue])
"""Mirror values by column, masked: what a change carries."""


_ORDERING = {"id", *(name.lower() for name in CURSOR_PREFERENCE)}
"""Fields by which reads are paged and versions ordered: they stay, whatever the rules say."""


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Masked rows of CSV text, cells in the order of `columns`: what a load or a refresh takes."""

    columns: Sequence[str]
    rows: list[list[str]]

    @property
    def ids(self) -> list[str]:
        """The Id of every row."""
        place = self.columns.index("Id")
        return [row[place] for row in self.rows]

    def split(self, ids: Collection[str]) -> tuple[MaskedRows, MaskedRows]:
        """The rows with these ids, and the others."""
        if not ids:
            return MaskedRows(self.columns, []), self
        place = self.columns.index("Id")
        inside = [row for row in self.rows if row[place] in ids]
        outside = [row for row in self.rows if row[place] not in ids]
        return MaskedRows(self.columns, inside), MaskedRows(self.columns, outside)

    def records(self) -> Iterator[MaskedRecord]:
        """Every row by column name."""
        return (MaskedRecord(dict(zip(self.columns, row, strict=True))) for row in self.rows)


class Privacy:
    """The privacy rules of one object, by field name in whatever case."""

    def __init__(self, rules: Mapping[str, str], key: bytes) -> None:
        """`key` (up to 64 bytes) makes the hashes this mirror's own."""
        self._dropped = {name.lower() for name, rule in rules.items() if rule == "drop"}
        self._masks = masks(rules, key)
        # no column of these is left after a describe; until then they are read as empty
        self._masks |= dict.fromkeys(self._dropped - _ORDERING, _nothing)

    def record(self, record: dict[str, Any]) -> MaskedRecord:
        """Mask a record that was read, in place."""
        for name in record if self._masks else ():
            mask = self._masks.get(name.lower())
            if mask is not None:
                record[name] = mask(mirror_value(Kind.TEXT, record[name]))
        return MaskedRecord(record)

    def rows(self, columns: Sequence[str], rows: list[list[str]]) -> MaskedRows:
        """Mask rows of CSV text, in place."""
        for place, name in enumerate(columns):
            mask = self._masks.get(name.lower())
            if mask is not None:
                for row in rows:
                    row[place] = str(mask(mirror_value(Kind.TEXT, row[place])) or "")
        return MaskedRows(columns, rows)

    def push(self, fields: dict[str, Any]) -> None:
        """Mask the fields of a pushed change, in place; of dropped ones not even the name stays."""
        for name in [name for name in fields if name.lower() in self._dropped]:
            del fields[name]
        self.record(fields)


def masked_push(push: Push, privacy_of: Callable[[str], Privacy | None]) -> MaskedPush:
    """A push as the inbox keeps it; `privacy_of` finds the rules of an object, if it is mirrored."""
    for change in push.changes if isinstance(push, Changes) else ():
        privacy = privacy_of(change.object)
        if change.fields is not None and privacy is not None:
            privacy.push(change.fields)
    return MaskedPush(encode_push(push))


def stored_push(body: bytes) -> MaskedPush:
    """A push, or a part of one, that was read from the store: it was masked on its way in."""
    return MaskedPush(body)


def stored_fields(fields: dict[str, Any]) -> MaskedRecord:
    """The fields of a change that was read from the inbox: they were masked on their way in."""
    return MaskedRecord(fields)


def convert(schema: ObjectSchema, record: MaskedRecord) -> MaskedValues:
    """Mirror values of the mirrored fields in a record, by the field's own spelling.

    Raises ValueError or TypeError when a value is not of its field's type.
    """
    converted: dict[str, MirrorValue] = {}
    for name, value in record.items():
        field = schema.by_name.get(name) or schema.by_lower_name.get(name.lower())
        if field is not None:
            converted[field.name] = mirror_value(field.kind, value)
    return MaskedValues(converted)


def csv_rows(records: Sequence[MaskedRecord], columns: Sequence[str]) -> MaskedRows:
    """Some columns of records as rows of CSV text, as the Bulk API would write them."""
    return MaskedRows(columns, [[_cell(record.get(name)) for name in columns] for record in records])


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else str(mirror_value(Kind.TEXT, value) or "")


def masks(rules: Mapping[str, str], key: bytes) -> dict[str, Mask]:
    """The masks by lower-cased field name; `key` (up to 64 bytes) makes hashes unique to this mirror.

    A dropped field has no column and therefore needs no mask.
    """

    def hashed(value: MirrorValue) -> MirrorValue:
        if value is None:
            return None
        return hashlib.blake2b(str(value).encode(), digest_size=16, key=key).hexdigest()

    def last_four(value: MirrorValue) -> MirrorValue:
        return None if value is None else str(value)[-4:]

    kinds: dict[str, Mask] = {"hash": hashed, "last4": last_four}
    return {name.lower(): kinds[rule] for name, rule in rules.items() if rule in kinds}


def _nothing(_value: MirrorValue) -> MirrorValue:
    return None
