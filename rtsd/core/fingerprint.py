"""Fingerprints: what an object's stamps look like, counted by day, in the org and in the mirror.

Why counts by day prove so much: suppose both sides held the same rows with the same stamps at some
moment, the last proof. Since then a row can only have gone (deleted) or moved to a stamp after the
proof (created, edited). So behind the proof, equal counts on a day mean equal rows; after it, where
rows may have moved from one stamp to another of the same day, the rows themselves are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

Histogram = Mapping[str, int]
"""Rows by the day of their stamp, `YYYY-MM-DD` in UTC."""


@dataclass(slots=True)
class Differences:
    """How the mirror differs from the org, as ids."""

    missing: set[str] = field(default_factory=set)
    """In the org, not in the mirror."""
    stale: set[str] = field(default_factory=set)
    """In both, with different stamps."""
    orphaned: set[str] = field(default_factory=set)
    """In the mirror, not in the org."""

    @property
    def ids(self) -> set[str]:
        """All of them: the records to fetch."""
        return self.missing | self.stale | self.orphaned

    def __bool__(self) -> bool:
        return bool(self.ids)

    def __ior__(self, other: Self) -> Self:
        self.missing |= other.missing
        self.stale |= other.stale
        self.orphaned |= other.orphaned
        return self


def differing(org: Histogram, mirror: Histogram) -> dict[str, int]:
    """Return the days whose counts differ, each with how many rows the org has more (or less)."""
    return {
        day: org.get(day, 0) - mirror.get(day, 0)
        for day in sorted(org.keys() | mirror.keys())
        if org.get(day, 0) != mirror.get(day, 0)
    }


def explained(
    days: Mapping[str, int], found: Differences, mirror_stamps: Mapping[str, str]
) -> dict[str, int]:
    """Return the days that differ still, once `found` is taken into account.

    A stale or orphaned row stands in the mirror under its old stamp, which explains one row too many on
    that day; `mirror_stamps` gives these stamps by id.
    """
    left = dict(days)
    for record_id in found.stale | found.orphaned:
        day = mirror_stamps.get(record_id, "")[:10]
        if day in left:
            left[day] += 1
    return {day: count for day, count in left.items() if count}


def compare(org: Mapping[str, str], mirror: Mapping[str, str]) -> Differences:
    """Compare two listings, id -> stamp, of the same stretch of stamps."""
    return Differences(
        missing=org.keys() - mirror.keys(),
        stale={one for one, stamp in org.items() if mirror.get(one, stamp) != stamp},
        orphaned=mirror.keys() - org.keys(),
    )
