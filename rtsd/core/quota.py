"""What may be spent, and when more may: each purpose stops before a more urgent one, all before the reserve.

Salesforce counts a rolling 24 hours: what was spent frees its place a day later (Salesforce developer
limits, API Request Limits and Allocations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtsd.core.instant import Millis

HOUR_MS: Millis = 3_600_000
DAY_MS: Millis = 24 * HOUR_MS

LEFT_TO_OTHERS = {
    "audit": 0.10,  # full reads wait best: what is mirrored stays right, and a load goes on where it stopped
    "schema": 0.10,  # fills new columns, by a full read
    "formula": 0.10,  # refreshes formulas, by a full read; their age is shown
    "interval": 0.05,  # without windows the mirror grows old, and says so
    "repair": 0.02,  # without repairs it is known to be wrong: they end last
    # describe, package, estimate: so few, and so needed to go on at all, that they stop only at the reserve
}
"""How much of what rtsd may use each purpose leaves to the more urgent ones."""
KEPT_FOR_LOOKS = 3
"""Calls that are left to find out, without touching the reserve, whether there is room again."""
ROOM_TO_GO_ON = 0.01
"""So much has to be free before a purpose that was held back goes on, or it would stop again at once."""
SHORTEST_SPAN_MS: Millis = HOUR_MS
"""A rate over less than this is no rate: a start is always busy."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Something that limits the use of a resource in 24 hours: the org's allocation, or rtsd's own cap."""

    highest: int
    used: int
    reserve: int = 0
    """Never touched by rtsd."""
    ours_alone: bool = False
    """An own cap: nobody else draws on it, so what is left is known without asking."""

    @property
    def usable(self) -> int:
        """Up to where rtsd may go."""
        return max(self.highest - self.reserve, 0)

    def stop(self, purpose: str) -> int:
        """Up to where a purpose may go."""
        looks = 0 if self.ours_alone else min(KEPT_FOR_LOOKS, self.usable)
        return self.usable - looks - int(self.usable * LEFT_TO_OTHERS.get(purpose, 0.0))

    def missing(self, purpose: str, count: int, *, held_back: bool = False) -> int:
        """How many have to become free before `count` may be spent; 0: it may be."""
        room = int(self.usable * ROOM_TO_GO_ON) if held_back else 0
        return max(self.used + count + room - self.stop(purpose), 0)


def frees_at(spent: Sequence[tuple[Millis, int]], missing: int) -> Millis | None:
    """When enough of what was spent, as (moment, count) in order, has left the 24 hours; None: never."""
    freed = 0
    for at, count in spent:
        freed += count
        if freed >= missing:
            return at + DAY_MS
    return None


def runs_out_at(usage: Sequence[tuple[Millis, int]], highest: int) -> Millis | None:
    """When a limit is used up at the rate of `usage`, as (moment, used) in order, about an hour of it.

    None when that is not within a day. That old use frees its place meanwhile is left out: a warning
    may come early, not late.
    """
    if not usage:
        return None
    (first_at, first), (last_at, last) = usage[0], usage[-1]
    if last >= highest:
        return last_at
    risen, span = last - first, max(last_at - first_at, SHORTEST_SPAN_MS)
    if risen <= 0:
        return None
    left = (highest - last) * span // risen
    return last_at + left if left <= DAY_MS else None
