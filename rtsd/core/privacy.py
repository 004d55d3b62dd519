"""The single entry point for values, masked or dropped before storage (contract section 2, `privacy`).

The inbox takes a MaskedPush, a change carries MaskedValues, loads and refreshes take MaskedRows or
MaskedText. Only this module creates them, so a channel that bypasses it does not pass the type checker::

    push ─ masked_push ─► MaskedPush ─► inbox ─ stored_fields ─► MaskedRecord ─ convert ─► MaskedValues
    REST ─ Privacy.record ─────────────────────────────────────► MaskedRecord ─ convert ─► MaskedValues
    Bulk ─ Privacy.rows ─► MaskedRows ─ records ───────────────► MaskedRecord ─ convert ─► MaskedValues
    Bulk ─ Privacy.text ─► MaskedText, only where no rule masks a column
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType

import msgspec

from rtsd.core.image import Image
from rtsd.core.payload import Changes, Push, encode_push, read_push
from rtsd.core.schema import CURSOR_PREFERENCE, Kind, ObjectSchema
from rtsd.core.values import MirrorValue, are_texts, mirror_value, mirror_values

Mask = Callable[[MirrorValue], MirrorValue]
"""Turns a value into the form that may be stored."""

MaskedRecord = NewType("MaskedRecord", dict[str, Any])
"""A record from Salesforce, in JSON or as CSV text, with masked values."""
MaskedValues = NewType("MaskedValues", Mapping[str, MirrorValue])
"""Masked mirror values by column, as carried by a change."""


ORDERING = frozenset({"id", *(name.lower() for name in CURSOR_PREFERENCE)})
"""Fields that page reads and order versions, which rules cannot drop."""
_STATING = ORDERING | {"isdeleted", "masterrecordid"}
"""Fields that every read needs, even if none of them is mirrored: they say that a row is deleted, too."""


class MaskedPush(msgspec.Struct, frozen=True, gc=False):
    """A push document with masked values: encoded, as stored, and parsed if it has just arrived."""

    body: bytes
    parsed: Push | None = None

    def read(self) -> Push:
        """Return the parsed push, not to be modified. Raises MalformedPush."""
        return read_push(self.body) if self.parsed is None else self.parsed


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Masked rows of CSV text for loads and refreshes, with cells in the order of `columns`."""

    columns: Sequence[str]
    rows: list[list[str]]

    @property
    def ids(self) -> list[str]:
        """The Id of every row."""
        place = self.columns.index("Id")
        return [row[place] for row in self.rows]

    def split(self, ids: Collection[str]) -> tuple[MaskedRows, MaskedRows]:
        """Split into the rows with these ids, and the others."""
        if not ids:
            return MaskedRows(self.columns, []), self
        place = self.columns.index("Id")
        inside = [row for row in self.rows if row[place] in ids]
        outside = [row for row in self.rows if row[place] not in ids]
        return MaskedRows(self.columns, inside), MaskedRows(self.columns, outside)

    def records(self) -> Iterator[MaskedRecord]:
        """The rows as records, by column name."""
        return (MaskedRecord(dict(zip(self.columns, row, strict=True))) for row in self.rows)


@dataclass(frozen=True, slots=True)
class MaskedText:
    """CSV of rows that no rule masks, for SQLite to load; values in the order of `columns`.

    `pieces` hold whole records, `count` in all: UTF-8, every value within quotes, LF between records.
    """

    columns: Sequence[str]
    pieces: Sequence[bytes]
    count: int
    parse: Callable[[], Awaitable[list[list[str]]]]
    """Returns the values, for rows that SQLite can't load by itself."""

    async def rows(self) -> MaskedRows:
        """Parse the rows."""
        return MaskedRows(self.columns, await self.parse())

    def no_rows(self) -> MaskedRows:
        """None of the rows."""
        return MaskedRows(self.columns, [])


class Privacy:
    """The privacy rules of an object, by field name regardless of case."""

    def __init__(
        self,
        rules: Mapping[str, str],
        key: bytes,
        *,
        exclude: Collection[str] = (),
        fields: Collection[str] = ("*",),
    ) -> None:
        """`key` (up to 64 bytes) makes hashes unique to this mirror."""
        self._dropped = {name.lower() for name, rule in rules.items() if rule == "drop"}
        self._dropped |= {name.lower() for name in exclude} - ORDERING
        self._listed = None if "*" in fields else {name.lower() for name in fields} | ORDERING
        self._masks = masks(rules, key)
        # a describe removes their columns; until then their values are read as empty
        self._masks |= dict.fromkeys(self._dropped - _STATING, _nothing)
        self._keeps_all = not self._masks and not self._dropped and self._listed is None

    def record(self, record: dict[str, Any]) -> MaskedRecord:
        """Mask a record in place."""
        for name in record if self._masks else ():
            mask = self._masks.get(name.lower())
            if mask is not None:
                record[name] = mask(mirror_value(Kind.TEXT, record[name]))
        return MaskedRecord(record)

    def rows(self, columns: Sequence[str], rows: list[list[str]]) -> MaskedRows:
        """Mask rows of CSV text in place."""
        for place, name in enumerate(columns):
            mask = self._masks.get(name.lower())
            if mask is not None:
                for row in rows:
                    row[place] = str(mask(mirror_value(Kind.TEXT, row[place])) or "")
        return MaskedRows(columns, rows)

    def text(
        self,
        columns: Sequence[str],
        pieces: Sequence[bytes],
        count: int,
        parse: Callable[[], Awaitable[list[list[str]]]],
    ) -> MaskedText | None:
        """Return rows as the text that they are, or None if a rule masks one of the columns."""
        if any(name.lower() in self._masks for name in columns):
            return None
        return MaskedText(columns, pieces, count, parse)

    def push(self, fields: dict[str, Any]) -> None:
        """Mask the fields of a pushed change in place; fields that are not mirrored are removed."""
        if self._keeps_all:
            return
        for name in [name for name in fields if self._is_left_out(name.lower())]:
            del fields[name]
        self.record(fields)

    def _is_left_out(self, name: str) -> bool:
        return name in self._dropped or (self._listed is not None and name not in self._listed)


def masked_push(push: Push, privacy_of: Callable[[str], Privacy | None]) -> MaskedPush:
    """Mask and encode a push for the inbox; `privacy_of` returns the rules of a mirrored object."""
    for change in push.changes if isinstance(push, Changes) else ():
        privacy = privacy_of(change.object)
        if privacy is not None and change.fields is not None:
            privacy.push(change.fields)
    return MaskedPush(encode_push(push), push)


def stored_push(body: bytes) -> MaskedPush:
    """A push, or part of one, from the store, which was masked before it was stored."""
    return MaskedPush(body)


def stored_fields(fields: dict[str, Any]) -> MaskedRecord:
    """The fields of a change from the inbox, which were masked before they were stored."""
    return MaskedRecord(fields)


def convert(schema: ObjectSchema, record: MaskedRecord) -> MaskedValues:
    """Convert the mirrored fields of a record to mirror values, by canonical field name.

    Raises ValueError or TypeError for a value that does not match its field's type.
    """
    by_name = schema.by_name
    is_nearly_whole = 2 * len(record) > len(by_name)  # the few values of a change event are faster one by one
    if is_nearly_whole and record.keys() <= by_name.keys() and are_texts(list(map(record.get, schema.texts))):
        values = dict(record)
        for typed in schema.typed:
            value = values.get(typed.name)
            if value is not None:
                values[typed.name] = mirror_value(typed.kind, value)
        return MaskedValues(values)
    converted: dict[str, MirrorValue] = {}
    for name, value in record.items():
        field = by_name.get(name) or schema.by_lower_name.get(name.lower())
        if field is not None:
            converted[field.name] = None if value is None else mirror_value(field.kind, value)
    return MaskedValues(converted)


def convert_alike(schema: ObjectSchema, records: Sequence[MaskedRecord]) -> list[MaskedValues]:
    """Convert records that have every mirrored field and no other, texts row by row, others by column.

    Returns what `convert` returns for each. Raises ValueError or TypeError if a value of one of them does not
    match its field's type.
    """
    rows = [list(schema.row_of(record)) for record in records]
    if not all(are_texts(schema.texts_in(row)) for row in rows):
        return [convert(schema, record) for record in records]
    for field in schema.typed:
        place = schema.places[field.name]
        column = mirror_values(field.kind, [row[place] for row in rows])
        for row, value in zip(rows, column, strict=True):
            row[place] = value
    return [MaskedValues(Image(schema.places, tuple(row))) for row in rows]


def stated(values: MaskedValues, name: str, text: str) -> MaskedValues:
    """Return values with an id or a stamp, which a change states besides."""
    return values if values.get(name) == text else MaskedValues({**values, name: text})


def csv_rows(records: Sequence[MaskedRecord], columns: Sequence[str]) -> MaskedRows:
    """Convert some columns of records to rows of CSV text in the Bulk API's form."""
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
