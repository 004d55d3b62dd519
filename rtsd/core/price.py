"""What a state audit will cost: calls, jobs, megabytes, minutes, and their share of each daily limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PAGE_ROWS = 100_000
"""Rows in one page of a Bulk result."""
CALLS_PER_OBJECT = 9
"""Besides the pages: describe, count, the job's creation, three looks at it, its end, the catching up and
the count that proves the result."""
ROWS_PER_SECOND = 10_000
"""A careful guess at how fast a large result comes; the org sets the pace."""
SECONDS_PER_OBJECT = 3
"""A job waits for its turn, however small."""

API_REQUESTS = "DailyApiRequests"
BULK_JOBS = "DailyBulkV2QueryJobs"
BULK_MEGABYTES = "DailyBulkV2QueryFileStorageMB"


@dataclass(frozen=True, slots=True)
class ObjectSize:
    """How much there is to read of one object: its rows, and bytes of CSV in one of them."""

    rows: int
    row_bytes: float


@dataclass(frozen=True, slots=True)
class Price:
    """The sum over objects. `mb` are megabytes of CSV before compression, as the limit counts them."""

    rows: int
    api_calls: int
    bulk_jobs: int
    mb: float
    minutes: float

    def share_of(self, limits: Mapping[str, int]) -> dict[str, float]:
        """Return percent of each daily limit, out of `limits` by name."""
        spent = {API_REQUESTS: self.api_calls, BULK_JOBS: self.bulk_jobs, BULK_MEGABYTES: self.mb}
        return {name: round(100 * cost / limits[name], 3) for name, cost in spent.items() if limits.get(name)}

    def document(self, limits: Mapping[str, int]) -> dict[str, Any]:
        """Return the `estimate` of contract section 5."""
        return {
            "rows": self.rows,
            "api_calls": self.api_calls,
            "bulk_jobs": self.bulk_jobs,
            "mb": round(self.mb, 2),
            "minutes": round(self.minutes, 2),
            "share_of_daily": self.share_of(limits),
        }


def price(objects: Iterable[ObjectSize]) -> Price:
    """Price a full read of `objects`, one after the other."""
    sizes = list(objects)
    rows = sum(size.rows for size in sizes)
    pages = sum(max(1, -(-size.rows // PAGE_ROWS)) for size in sizes)
    seconds = rows / ROWS_PER_SECOND + SECONDS_PER_OBJECT * len(sizes)
    return Price(
        rows=rows,
        api_calls=pages + CALLS_PER_OBJECT * len(sizes),
        bulk_jobs=len(sizes),
        mb=sum(size.rows * size.row_bytes for size in sizes) / 1_000_000,
        minutes=seconds / 60,
    )
