"""What work will cost, before it is done: calls, jobs, megabytes, minutes, shares of the daily limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rtsd.core.instant import Millis
from rtsd.core.quota import DAY_MS

PAGE_ROWS = 100_000
"""Rows in one page of a Bulk result."""
CALLS_AT_START = 4
"""Who we are, which org this is, its limits, and whether the package is there."""
CALLS_PER_OBJECT = 7
"""Besides pages and looks at the job: describe, count, the job's creation and end, the deletions and changes
to catch up with, and the count that proves the result."""
CALLS_PER_WINDOW = 2
"""What an idle window of Interval Sync asks: what was deleted, and what changed."""
LISTED_ROWS = 2_000
"""Ids in one page of a list."""
CALLS_PER_REFRESH = 6
"""A narrow read of one page: the job's creation, three looks at it, its result and end."""
JOB_ROWS_PER_SECOND = 70_000
"""How fast the org prepares a result, about; the longer it takes, the more often it is asked."""
ROWS_PER_SECOND = 10_000
"""A careful guess at how fast a large result comes; the org sets the pace."""
SECONDS_PER_OBJECT = 3
"""A job waits for its turn, however small."""
MEGABYTE = 1 << 20

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

    def beyond(self, limits: Mapping[str, tuple[int, int]], reserve: float) -> list[tuple[str, float, float]]:
        """Return each limit, out of {name: (max, remaining)}, that cannot bear it now.

        As (name, percent it takes, percent that can be used), the reserve being left alone.
        """
        shares = self.share_of({name: highest for name, (highest, _) in limits.items()})
        left = {name: 100 * (limits[name][1] / limits[name][0] - reserve) for name in shares}
        return [(name, share, max(left[name], 0.0)) for name, share in shares.items() if share > left[name]]


def price(objects: Iterable[ObjectSize], *, from_start: bool = False) -> Price:
    """Price a full read of `objects`; `from_start` adds what a daemon asks when it starts."""
    sizes = list(objects)
    rows = sum(size.rows for size in sizes)
    pages = sum(max(1, -(-size.rows // PAGE_ROWS)) for size in sizes)
    seconds = rows / ROWS_PER_SECOND + SECONDS_PER_OBJECT * len(sizes)
    calls = pages + sum(CALLS_PER_OBJECT + _looks(size.rows) for size in sizes)
    return Price(
        rows=rows,
        api_calls=calls + (CALLS_AT_START if from_start else 0),
        bulk_jobs=len(sizes),
        mb=sum(size.rows * size.row_bytes for size in sizes) / MEGABYTE,
        minutes=seconds / 60,
    )


def narrow_read(size: ObjectSize) -> Price:
    """Price reading some columns of every row: the job's creation, looks at it, its pages, its end."""
    calls = 2 + _looks(size.rows) + max(1, -(-size.rows // PAGE_ROWS))
    megabytes = size.rows * size.row_bytes / MEGABYTE
    minutes = (size.rows / ROWS_PER_SECOND + SECONDS_PER_OBJECT) / 60
    return Price(size.rows, calls, 1, megabytes, minutes)


def fingerprint(rows: int) -> Price:
    """Price a fingerprint of an object in which nothing is wrong: one call, whatever its rows are."""
    return Price(rows, 1, 0, 0.0, 0.0)


def fetching(records: int, at_once: int, *, listed: bool = False) -> Price:
    """Price fetching records by id, so many in a call; `listed`: their ids are counted and listed first."""
    calls = -(-records // at_once) + (1 + records // LISTED_ROWS + 1 if listed else 0)
    return Price(records, calls, 0, 0.0, records / ROWS_PER_SECOND / 60)


def _looks(rows: int) -> int:
    """How often a job is asked if it is done: at once, after 0.1 s, then at pauses that double to 3 s."""
    waiting, pause, looks = rows / JOB_ROWS_PER_SECOND, 0.1, 1
    while waiting > pause:
        waiting -= pause
        pause = min(pause * 2, 3.0)
        looks += 1
    return looks


@dataclass(frozen=True, slots=True)
class Periods:
    """How often something is asked, in ms; 0: never (contract section 2, `[sync]`)."""

    interval: Millis
    describe: Millis
    fingerprint: Millis
    formula: Millis


@dataclass(frozen=True, slots=True)
class IdleDay:
    """API calls of a day on which nothing changes, while pushes come and while Interval Sync stands in."""

    real_time: int
    interval: int

    def document(self) -> dict[str, int]:
        """Return it as JSON."""
        return {"real_time": self.real_time, "interval": self.interval}


LOOKS_FOR_PACKAGE = 24
"""How often a day the package is looked for in the end, while nothing pushes."""


def idle_day(objects: int, with_formulas: int, periods: Periods, *, with_package: bool = False) -> IdleDay:
    """Price a day of looking at `objects` in vain; of them, some have formulas to refresh.

    `with_package` adds what is asked of it: sync conditions each describe period, and while nothing
    pushes its error log too, and whether it is there.

    Pushes cost no call. A describe is conditional, but Salesforce counts it: all calls but that for the
    versions count (REST API guide, Limit Info Header).
    """
    always = objects * (_a_day(periods.describe) + _a_day(periods.fingerprint))
    always += with_formulas * CALLS_PER_REFRESH * _a_day(periods.formula)
    windows = objects * CALLS_PER_WINDOW * _a_day(periods.interval)
    if with_package:
        always += _a_day(periods.describe)
        windows += _a_day(periods.describe) + LOOKS_FOR_PACKAGE
    return IdleDay(round(always), round(always + windows))


def _a_day(period: Millis) -> float:
    return DAY_MS / period if period else 0.0
