"""Cost estimates of work on the org: API calls, Bulk jobs, megabytes, minutes, shares of the daily limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from rtsd.core.instant import DAY_MS, Millis
from rtsd.core.quota import API_REQUESTS, BULK_JOBS, BULK_MEGABYTES

PAGE_ROWS = 100_000
"""Rows in a page of a Bulk result."""
CALLS_AT_START = 4
"""The user, the org, its limits, and the package."""
CALLS_PER_OBJECT = 7
"""Calls besides pages and polls: describe, count, creation and deletion of the job, catching up with
deletions and changes, and the count that proves the result."""
CALLS_PER_WINDOW = 2
"""The calls of an idle window of Interval Sync: deletions and changes."""
LISTED_ROWS = 2_000
"""Ids in a page of a list."""
CALLS_PER_REFRESH = 6
"""The calls of a narrow read of one page: creation of the job, three polls, result and deletion."""
JOB_ROWS_PER_SECOND = 70_000
"""The approximate rate at which the org prepares a result; a longer preparation takes more polls."""
ROWS_PER_SECOND = 10_000
"""A conservative rate for the download of a large result."""
SECONDS_PER_OBJECT = 3
"""The time even a small job spends in the queue."""
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class ObjectSize:
    """The size of an object: its rows, and the CSV bytes of an average row."""

    rows: int
    row_bytes: float


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a piece of work. `mb` are megabytes of uncompressed CSV, as the limit counts them."""

    rows: int
    api_calls: int
    bulk_jobs: int
    mb: float
    minutes: float

    def share_of(self, limits: Mapping[str, int]) -> dict[str, float]:
        """Return the percentage of each daily limit in `limits` (by name)."""
        spent = {API_REQUESTS: self.api_calls, BULK_JOBS: self.bulk_jobs, BULK_MEGABYTES: self.mb}
        return {name: round(100 * cost / limits[name], 3) for name, cost in spent.items() if limits.get(name)}

    def beyond(self, limits: Mapping[str, tuple[int, int]], reserve: float) -> list[tuple[str, float, float]]:
        """Return the limits in `limits`, {name: (max, remaining)}, that this cost would exceed now.

        Each as (name, percentage needed, percentage usable without touching the reserve).
        """
        shares = self.share_of({name: highest for name, (highest, _) in limits.items()})
        left = {name: 100 * (limits[name][1] / limits[name][0] - reserve) for name in shares}
        return [(name, share, max(left[name], 0.0)) for name, share in shares.items() if share > left[name]]


def full_read(objects: Iterable[ObjectSize], *, from_start: bool = False) -> Cost:
    """Estimate a full read of `objects`; `from_start` adds the daemon's start-up calls."""
    sizes = list(objects)
    rows = sum(size.rows for size in sizes)
    pages = sum(max(1, -(-size.rows // PAGE_ROWS)) for size in sizes)
    seconds = rows / ROWS_PER_SECOND + SECONDS_PER_OBJECT * len(sizes)
    calls = pages + sum(CALLS_PER_OBJECT + _polls(size.rows) for size in sizes)
    return Cost(
        rows=rows,
        api_calls=calls + (CALLS_AT_START if from_start else 0),
        bulk_jobs=len(sizes),
        mb=sum(size.rows * size.row_bytes for size in sizes) / MEGABYTE,
        minutes=seconds / 60,
    )


def narrow_read(size: ObjectSize) -> Cost:
    """Estimate a read of some columns of every row: the job's creation, polls, pages and deletion."""
    calls = 2 + _polls(size.rows) + max(1, -(-size.rows // PAGE_ROWS))
    megabytes = size.rows * size.row_bytes / MEGABYTE
    minutes = (size.rows / ROWS_PER_SECOND + SECONDS_PER_OBJECT) / 60
    return Cost(size.rows, calls, 1, megabytes, minutes)


def fingerprint(rows: int) -> Cost:
    """Estimate a fingerprint of an object without differences: one call, whatever the number of rows."""
    return Cost(rows, 1, 0, 0.0, 0.0)


def fetching(records: int, at_once: int, *, listed: bool = False) -> Cost:
    """Estimate a fetch of records by id, `at_once` per call; `listed` adds counting and listing ids."""
    calls = -(-records // at_once) + (1 + records // LISTED_ROWS + 1 if listed else 0)
    return Cost(records, calls, 0, 0.0, records / ROWS_PER_SECOND / 60)


def _polls(rows: int) -> int:
    """The number of polls of a job: at once, after 0.1 s, then after pauses that double up to 3 s."""
    waiting, pause, polls = rows / JOB_ROWS_PER_SECOND, 0.1, 1
    while waiting > pause:
        waiting -= pause
        pause = min(pause * 2, 3.0)
        polls += 1
    return polls


@dataclass(frozen=True, slots=True)
class Periods:
    """Intervals between calls in ms, 0 for never (contract section 2, `[sync]`)."""

    interval: Millis
    describe: Millis
    fingerprint: Millis
    formula: Millis
    silence: Millis


@dataclass(frozen=True, slots=True)
class IdleDay:
    """API calls on a day without changes: in real-time mode, under Interval Sync, without the package."""

    real_time: int
    interval: int
    awaiting_package: int

    def document(self) -> dict[str, int]:
        """Return it as JSON."""
        return asdict(self)


PACKAGE_PROBES = 24
"""Package probes per day while nothing pushes, once their back-off has reached its maximum."""
AWAITING_PROBES = 3_456
"""Package probes per day, one every 25 s, while a package is awaited."""


def idle_day(
    objects: int,
    with_formulas: int,
    periods: Periods,
    *,
    with_package: bool = False,
    is_awaited: bool = False,
) -> IdleDay:
    """Estimate a day without changes for `objects` objects, of which `with_formulas` need formula refreshes.

    `with_package` adds the package's sync conditions once per describe period and, while nothing pushes, its
    error log and the package probes. `is_awaited` means that its gateway is configured, so that while it is
    missing rtsd probes for it often.

    Pushes cost no calls, but while only heartbeats arrive, every object is read once per `silence_after` to
    prove that nothing was missed. Conditional describes count like others: every call except the one for the
    API versions counts (REST API guide, Limit Info Header).
    """
    always = objects * (_a_day(periods.describe) + _a_day(periods.fingerprint))
    always += with_formulas * CALLS_PER_REFRESH * _a_day(periods.formula)
    windows = objects * CALLS_PER_WINDOW * _a_day(periods.interval)
    missing = round(always + windows)
    if not with_package:
        return IdleDay(round(always), missing, missing)
    proofs = objects * CALLS_PER_WINDOW * _a_day(periods.silence)
    conditions = error_log = _a_day(periods.describe)
    return IdleDay(
        real_time=round(always + conditions + proofs),
        interval=round(always + conditions + windows + error_log + PACKAGE_PROBES),
        awaiting_package=missing + (AWAITING_PROBES if is_awaited else PACKAGE_PROBES),
    )


def _a_day(period: Millis) -> float:
    return DAY_MS / period if period else 0.0
