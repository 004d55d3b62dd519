"""The org's objects and rows, and what its users do to them. Values are Python's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

Value = str | bool | int | float | datetime | date | None
Row = dict[str, Value]

STAMP = "SystemModstamp"


def long_id(short: str) -> str:
    """The 18 characters of a 15-character id: the cases of five characters a letter."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    groups = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(letters[sum("A" <= c <= "Z" and 1 << i for i, c in enumerate(g))] for g in groups)


@dataclass(frozen=True)
class Field:
    """One field as the org knows it; `hidden` fields are not there for the sync user."""

    name: str
    type: str = "string"
    length: int = 255
    refers_to: tuple[str, ...] = ()
    compound: str | None = None
    formula: bool = False
    filterable: bool = True
    hidden: bool = False

    @property
    def groupable(self) -> bool:
        """Whether GROUP BY takes the bare field."""
        numbers = ("double", "currency", "percent", "datetime", "time", "base64")
        return self.filterable and self.type not in numbers and self.length <= 255


@dataclass
class SObject:
    """One object and its rows by 18-character id."""

    name: str
    prefix: str
    fields: dict[str, Field]
    bulk: bool = True
    hidden: bool = False
    rows: dict[str, Row] = field(default_factory=dict)

    def visible(self) -> Iterator[Field]:
        """The fields that the sync user sees."""
        return (kind for kind in self.fields.values() if not kind.hidden)

    def find(self, name: str) -> Field | None:
        """A field that the sync user sees, by its name in any case."""
        return next((kind for kind in self.visible() if kind.name.lower() == name.lower()), None)


class Records:
    """All objects, the deletion log, and a clock that is some seconds off."""

    def __init__(self, objects: list[SObject], *, skew_s: float = 0.0) -> None:
        self.objects = {entity.name: entity for entity in objects}
        self.deletions: list[tuple[datetime, str, str]] = []
        self._skew = timedelta(seconds=skew_s)
        self._made = 0

    def now(self) -> datetime:
        """The org's time."""
        return datetime.fromtimestamp(time.time(), UTC) + self._skew

    def stamp(self) -> datetime:
        """The org's time as a record's stamp: a whole second (not documented; seen in live orgs)."""
        return self.now().replace(microsecond=0)

    def create(self, name: str, at: datetime | None = None, key: str | None = None, **values: Value) -> str:
        """Save a new row; its 18-character id."""
        entity = self.objects[name]
        self._made += 1
        key = key or long_id(f"{entity.prefix}Zq0000{_base62(self._made * 7919).rjust(6, '0')}")
        row: Row = {
            field_name: (False if kind.type == "boolean" else None)
            for field_name, kind in entity.fields.items()
        }
        row |= {"Id": key, **values}
        entity.rows[key] = row
        self._touch(row, at, "CreatedDate", "LastModifiedDate", STAMP)
        return key

    def update(self, name: str, key: str, at: datetime | None = None, **values: Value) -> None:
        """Save an edit."""
        row = self.objects[name].rows[key]
        row |= values
        self._touch(row, at, "LastModifiedDate", STAMP)

    def recalculate(self, name: str, key: str, **values: Value) -> None:
        """Change what formulas say: no stamp moves (documented of formulas across objects)."""
        self.objects[name].rows[key] |= values

    def delete(self, name: str, key: str, master: str | None = None) -> None:
        """Put a row into the recycle bin; `master` is the winner of a merge."""
        row = self.objects[name].rows[key]
        row["IsDeleted"] = True
        if "MasterRecordId" in row:
            row["MasterRecordId"] = master
        self._touch(row, None, STAMP)
        self.deletions.append((self.now(), name, key))

    def undelete(self, name: str, key: str) -> None:
        """Take a row out of the recycle bin."""
        row = self.objects[name].rows[key]
        row["IsDeleted"] = False
        self._touch(row, None, STAMP)

    def purge(self, name: str, key: str) -> None:
        """Delete a row for good: queryAll does not know it any more."""
        del self.objects[name].rows[key]
        self.deletions.append((self.now(), name, key))

    def merge(self, name: str, winner: str, loser: str) -> None:
        """Merge `loser` into `winner`."""
        self.delete(name, loser, master=winner)
        self.update(name, winner)

    def _touch(self, row: Row, at: datetime | None, *names: str) -> None:
        row |= {name: at or self.stamp() for name in names if name in row}


def alive(entity: SObject) -> dict[str, Row]:
    """The rows that are not deleted."""
    return {key: row for key, row in entity.rows.items() if not row.get("IsDeleted")}


def as_json(value: Value, kind: Field) -> Any:
    """A value as REST writes it: datetimes end in +0000 (REST API guide, sObject Get Updated)."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    if isinstance(value, date):
        return value.isoformat()
    if kind.type in ("double", "currency", "percent") and isinstance(value, int):
        return float(value)
    return value


def _base62(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 62)
        text = digits[rest] + text
    return text
