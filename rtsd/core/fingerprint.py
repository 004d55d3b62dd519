"""Fingerprints: the number of an object's stamps per day, in the org and in the mirror.

Why daily counts prove so much: suppose that both sides held the same rows with the same stamps at some
instant, the last proof. Since then a row can only have vanished (deleted) or moved to a stamp after the
proof (created, edited). Hence equal counts for a day before the proof mean equal rows. After the proof rows
may have moved between stamps of the same day, so the rows themselves are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

Histogram = Mapping[str, int]
"""Number of rows by the day of their stamp, `YYYY-MM-DD` in UTC."""


@dataclass(slots=True)
class Differences:
    """The record ids by which mirror and org differ."""

    missing: set[str] = field(default_factory=set)
    """In the org, not in the mirror."""
    stale: set[str] = field(default_factory=set)
    """In both, with different stamps."""
    orphaned: set[str] = field(default_factory=set)
    """In the mirror, not in the org."""

    @property
    def ids(self) -> set[str]:
        """All differing ids: the records to fetch."""
        return self.missing | self.stale | self.orphaned

    def __bool__(self) -> bool:
        return bool(self.ids)

    def __ior__(self, other: Self) -> Self:
        self.missing |= other.missing
        self.stale |= other.stale
        self.orphaned |= other.orphaned
        return self


def differing(org: Histogram, mirror: Histogram) -> dict[str, int]:
    """Return the days whose counts differ, with the org's count minus the mirror's."""
    return {
        day: org.get(day, 0) - mirror.get(day, 0)
        for day in sorted(org.keys() | mirror.keys())
        if org.get(day, 0) != mirror.get(day, 0)
    }


def unexplained_days(
    days: Mapping[str, int], mirror_stamps: Iterable[str], org_stamps: Iterable[str]
) -> dict[str, int]:
    """Return the days that still differ after accounting for the rows that were found to differ.

    `mirror_stamps` are the mirror's stamps of stale and orphaned rows, each of which makes its day's count in
    the mirror too high by one; `org_stamps` the org's of missing and stale rows, which make it too low. A
    day whose counts agreed may differ then: one row went, another came.
    """
    left = Counter(days)
    left.update(stamp[:10] for stamp in mirror_stamps)
    left.subtract(stamp[:10] for stamp in org_stamps)
    return {day: left[day] for day in sorted(left) if left[day]}


def compare(org: Mapping[str, str], mirror: Mapping[str, str]) -> Differences:
    """Compare two listings (id -> stamp) of the same range of stamps."""
    return Differences(
        missing=org.keys() - mirror.keys(),
        stale={id_ for id_, stamp in org.items() if mirror.get(id_, stamp) != stamp},
        orphaned=mirror.keys() - org.keys(),
    )
