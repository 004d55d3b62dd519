"""A record's values by mirrored field, as a tuple: cheaper to make and to compare than a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from operator import ne
from typing import Any

from rtsd.core.values import MirrorValue


class Image(Mapping[str, MirrorValue]):
    """A record's values, in the order of its schema's `places`, which all of the schema's images share."""

    __slots__ = ("places", "row")

    def __init__(self, places: Mapping[str, int], row: tuple[MirrorValue, ...]) -> None:
        self.places = places
        self.row = row

    def __getitem__(self, name: str) -> MirrorValue:
        return self.row[self.places[name]]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value; `Mapping` would have the other method raise KeyError for a missing one."""
        place = self.places.get(name)
        return default if place is None else self.row[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.row)


Fields = Mapping[str, MirrorValue]
"""Values by field: an image, or a dictionary where some fields may be missing."""


def differences(old: Fields, new: Fields) -> tuple[str, ...]:
    """Return the fields of `new` whose values `old` does not have."""
    if isinstance(old, Image) and isinstance(new, Image) and old.places is new.places:
        return tuple(compress(old.places, map(ne, old.row, new.row)))
    return tuple(compress(new, map(ne, map(old.get, new), new.values())))


def picked(fields: Fields, names: Sequence[str]) -> tuple[MirrorValue, ...]:
    """Return the values of some fields, None for a missing one."""
    if isinstance(fields, Image):
        return tuple(map(fields.row.__getitem__, map(fields.places.__getitem__, names)))
    return tuple(map(fields.get, names))


def as_dict(fields: Fields) -> dict[str, MirrorValue]:
    """Return a dictionary of its own."""
    return dict(zip(fields.places, fields.row, strict=True)) if isinstance(fields, Image) else dict(fields)
