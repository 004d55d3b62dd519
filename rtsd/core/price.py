"""What a state audit will cost: calls, jobs, megabytes, minutes, and their share of each daily limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PAGE_ROWS = 100_000
"""Rows in one page of a Bulk result."""
CALLS_AT_START = 4
"""Who we are, which org this is, its limits, and whether the package is there."""
CALLS_PER_OBJECT = 6
"""Besides pages and looks at the job: describe, count, the job's creation and end, the deletions to catch
up with, and the count that proves the result."""
JOB_ROWS_PER_SECOND = 50_000
"""How fast the org prepares a result, about; the longer it takes, the more often it is asked."""
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
        api_calls=CALLS_AT_START + pages + sum(CALLS_PER_OBJECT + _looks(size.rows) for size in sizes),
        bulk_jobs=len(sizes),
        mb=sum(size.rows * size.row_bytes for size in sizes) / 1_000_000,
        minutes=seconds / 60,
    )


def _looks(rows: int) -> int:
    """How often a job is asked whether it is done: after 0.1 s, then at pauses that double to 3 s."""
    waiting, pause, looks = rows / JOB_ROWS_PER_SECOND, 0.1, 2
    while waiting > pause:
        waiting -= pause
        pause = min(pause * 2, 3.0)
        looks += 1
    return looks
