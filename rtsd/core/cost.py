"""Costs of work on the org: API calls, Bulk jobs, megabytes, minutes, shares of the daily limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rtsd.core.quota import API_REQUESTS, BULK_JOBS, BULK_MEGABYTES


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a piece of work. Costs add up."""

    api_calls: int = 0
    """The calls that the work takes, repairs of the differences that are known included."""
    repair_calls: int = 0
    """The calls that it takes beyond these, at most, if all differs that may differ."""
    bulk_jobs: int = 0
    rows: int = 0
    mb: float = 0.0
    """Megabytes of uncompressed CSV, as the limit counts them."""
    minutes: float = 0.0

    def __add__(self, more: Cost) -> Cost:
        return Cost(
            self.api_calls + more.api_calls,
            self.repair_calls + more.repair_calls,
            self.bulk_jobs + more.bulk_jobs,
            self.rows + more.rows,
            self.mb + more.mb,
            self.minutes + more.minutes,
        )

    def or_at_most(self, most: Cost) -> Cost:
        """Return this cost, which may rise to the calls of `most`."""
        return replace(self, repair_calls=max(most.api_calls - self.api_calls, 0))

    @property
    def most_calls(self) -> int:
        """The calls that it takes at most, with repairs."""
        return self.api_calls + self.repair_calls

    def share_of(self, limits: Mapping[str, int]) -> dict[str, float]:
        """Return the percentage of each daily limit in `limits` (by name), without the possible repairs."""
        return self._share_of(self.api_calls, limits)

    def beyond(self, limits: Mapping[str, tuple[int, int]], reserve: float) -> list[tuple[str, float, float]]:
        """Return the limits in `limits`, {name: (max, remaining)}, that this may exceed now.

        Each as (name, percentage needed at most, percentage usable without touching the reserve).
        """
        shares = self._share_of(self.most_calls, {name: highest for name, (highest, _) in limits.items()})
        left = {name: 100 * (limits[name][1] / limits[name][0] - reserve) for name in shares}
        return [(name, share, max(left[name], 0.0)) for name, share in shares.items() if share > left[name]]

    def _share_of(self, calls: int, limits: Mapping[str, int]) -> dict[str, float]:
        spent = {API_REQUESTS: calls, BULK_JOBS: self.bulk_jobs, BULK_MEGABYTES: self.mb}
        return {name: round(100 * cost / limits[name], 3) for name, cost in spent.items() if limits.get(name)}
