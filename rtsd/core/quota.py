"""The spending policy for Salesforce's daily limits.

Each purpose stops before the more urgent ones, and all stop before the reserve. Salesforce counts a rolling
24 hours, so usage expires a day later (Salesforce developer limits, API Request Limits and Allocations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtsd.core.instant import DAY_MS, HOUR_MS, Millis

API_REQUESTS = "DailyApiRequests"
"""One per HTTP call to the REST or Bulk API (Salesforce developer limits, API Request Limits)."""
BULK_JOBS = "DailyBulkV2QueryJobs"
"""One per Bulk query job created."""
BULK_MEGABYTES = "DailyBulkV2QueryFileStorageMB"
"""Result files, in whole MB of CSV, rounded up per job."""
DELIVERIES = "DailyDeliveredPlatformEvents"
"""One per event that a subscriber of the event bus receives; all subscribers of the org share it."""
LOGINS = "Logins"
"""Calls of the token endpoint. The docs do not say whether they count against the daily requests."""

LEFT_TO_OTHERS = {
    "audit": 0.10,  # full reads can wait: the mirror stays correct, and a load resumes where it stopped
    "schema": 0.10,  # fills new columns by a full read
    "formula": 0.10,  # refreshes formulas by a full read; the status shows their age
    "interval": 0.05,  # without windows the mirror ages, and the status reports it
    "repair": 0.02,  # without repairs the mirror is known to be wrong: repairs stop last
    # describe, package, estimate: few calls that everything depends on; they stop only at the reserve
}
"""The share of rtsd's usable allocation that each purpose leaves to more urgent ones."""
KEPT_FOR_PROBES = 3
"""Calls set aside for probing, outside the reserve, whether the org has room again."""
ROOM_TO_RESUME = 0.01
"""The share that must be free before a deferred purpose resumes; with less it would stop again at once."""
SHORTEST_SPAN_MS: Millis = HOUR_MS
"""The shortest span for a meaningful rate: every start is busy."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit on a resource's usage in 24 hours: the org's allocation, or rtsd's own cap."""

    highest: int
    used: int
    reserve: int = 0
    """Never used by rtsd."""
    ours_alone: bool = False
    """Whether this is rtsd's own cap. Nobody else draws on it, so the rest is known without a probe."""

    @property
    def usable(self) -> int:
        """The usage at which rtsd stops."""
        return max(self.highest - self.reserve, 0)

    def stop(self, purpose: str) -> int:
        """The usage at which a purpose stops."""
        probes = 0 if self.ours_alone else min(KEPT_FOR_PROBES, self.usable)
        return self.usable - probes - int(self.usable * LEFT_TO_OTHERS.get(purpose, 0.0))

    def missing(self, purpose: str, count: int, *, held_back: bool = False) -> int:
        """The number of units that must expire before `count` may be spent; 0 if it may be spent now."""
        room = int(self.usable * ROOM_TO_RESUME) if held_back else 0
        return max(self.used + count + room - self.stop(purpose), 0)


def frees_at(spent: Sequence[tuple[Millis, int]], missing: int) -> Millis | None:
    """The time by which `missing` units of `spent`, (time, count) in order, expire; None for never."""
    freed = 0
    for at, count in spent:
        freed += count
        if freed >= missing:
            return at + DAY_MS
    return None


def runs_out_at(usage: Sequence[tuple[Millis, int]], highest: int) -> Millis | None:
    """The time at which a limit is exhausted at the rate of `usage`, about an hour of (time, used) in order.

    None if that is over a day away. Expiry of older usage is ignored: a warning may come early, not late.
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
