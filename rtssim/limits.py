"""Daily limits (quotas), counted over a rolling 24 hours of the org's clock (REST API guide, Limits)."""

from __future__ import annotations

from collections import Counter, deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rtssim.interface import OrgError
from rtssim.routing import Call, Reply, Router

if TYPE_CHECKING:
    from datetime import datetime

    from rtssim.clock import Clock
    from rtssim.switches import ApiSwitches

DAY = timedelta(hours=24)
API = "DailyApiRequests"
BULK_JOBS = "DailyBulkV2QueryJobs"
BULK_MB = "DailyBulkV2QueryFileStorageMB"
ASYNC_APEX = "DailyAsyncApexExecutions"
DELIVERIES = "DailyDeliveredPlatformEvents"

# Numbers of the documented sample (REST API guide, List Organization Limits).
DEFAULTS = {
    API: 100_000,
    BULK_JOBS: 10_000,
    BULK_MB: 976_562,
    ASYNC_APEX: 250_000,
    "DailyBulkApiBatches": 15_000,
    "DailyAsyncApexTests": 500,
    "DailyDurableStreamingApiEvents": 10_000,
    "DailyStreamingApiEvents": 10_000,
    DELIVERIES: 10_000,
    "HourlyPublishedPlatformEvents": 50_000,
    "HourlyPublishedStandardVolumePlatformEvents": 1_000,
    "DailyStandardVolumePlatformEvents": 10_000,
    "PlatformEventTriggersWithParallelProcessing": 5,
    "DataStorageMB": 1_024,
    "FileStorageMB": 1_024,
    "SingleEmail": 5_000,
    "MassEmail": 5_000,
    "DailyWorkflowEmails": 100_000,
    "HourlyTimeBasedWorkflow": 1_000,
    "ConcurrentSyncReportRuns": 20,
    "HourlyAsyncReportRuns": 1_200,
    "HourlyDashboardStatuses": 999_999_999,
    "ActiveScratchOrgs": 3,
    "DailyScratchOrgs": 6,
    "Package2VersionCreates": 6,
    "HourlyODataCallout": 20_000,
}
TOTAL_EXCEEDED = "TotalRequests Limit exceeded."
CONCURRENT_EXCEEDED = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."


class RollingUsage:
    """Use of a limit in the last 24 hours; each use expires after 24 hours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._uses: deque[tuple[datetime, int]] = deque()  # an entry per second with a use
        self._sum = 0

    def add(self, amount: int) -> None:
        """Record a use of `amount` now."""
        second = self._clock.now().replace(microsecond=0)
        if self._uses and self._uses[-1][0] == second:
            self._uses[-1] = (second, self._uses[-1][1] + amount)
        else:
            self._uses.append((second, amount))
        self._sum += amount

    def used(self, lag_s: float = 0.0) -> int:
        """Return the sum of uses that were recorded at least `lag_s` seconds ago."""
        now = self._clock.now()
        while self._uses and self._uses[0][0] <= now - DAY:
            self._sum -= self._uses.popleft()[1]
        if not lag_s:
            return self._sum
        known = now - timedelta(seconds=lag_s)
        return sum(amount for at, amount in self._uses if at <= known)


class Limits:
    """Counts uses and answers `/limits`; `maximum` may change at any time."""

    def __init__(self, clock: Clock, switches: ApiSwitches) -> None:
        self._switches = switches
        self.maximum = dict(DEFAULTS)
        self._windows = {
            name: RollingUsage(clock) for name in (API, BULK_JOBS, BULK_MB, ASYNC_APEX, DELIVERIES)
        }
        self._bulk_bytes = 0
        self.by_kind: Counter[str] = Counter()  # calls by kind of route since the start

    def routes(self, router: Router) -> None:
        """Serve `/limits`."""
        router.add("GET", "/limits", self.answer, "limits")

    def used(self, name: str) -> int:
        """Return the use of a limit in the last 24 hours."""
        window = self._windows.get(name)
        return window.used() if window else 0

    def use(self, name: str, amount: int = 1) -> None:
        """Record a use of a limit without checking its maximum."""
        self._windows[name].add(amount)

    def take_api_call(self, kind: str) -> None:
        """Count an API call; raise `OrgError` REQUEST_LIMIT_EXCEEDED if the day's calls are used up."""
        self.by_kind[kind] += 1
        if self._switches.hard_api_cap and self.used(API) >= self.maximum[API]:
            raise OrgError(403, "REQUEST_LIMIT_EXCEEDED", TOTAL_EXCEEDED)
        self.use(API)

    def take_bulk_job(self) -> None:
        """Count a query job; raise `OrgError` LIMIT_EXCEEDED if the day's jobs are used up."""
        most = self.maximum[BULK_JOBS]
        if self.used(BULK_JOBS) >= most:
            text = f"Max bulk v2 query jobs ({most}) per 24 hrs has been reached"
            raise OrgError(400, "LIMIT_EXCEEDED", text)
        self.use(BULK_JOBS)

    def add_bulk_bytes(self, size: int) -> None:
        """Count the size of a query job's result."""
        self._bulk_bytes += size
        megabytes, self._bulk_bytes = divmod(self._bulk_bytes, 1 << 20)
        if megabytes:
            self.use(BULK_MB, megabytes)

    def header(self) -> str:
        """Return the value of the header `Sforce-Limit-Info`."""
        used, most = self.used(API), self.maximum[API]
        info = f"api-usage={used}/{most}"
        if self._switches.app_usage_in_header:
            info += f"; per-app-api-usage={used}/{most}(appName=rts-simulator)"
        return info

    def answer(self, _call: Call) -> Reply:
        """Answer `GET /limits`: Max and Remaining of each limit, some with nested limits."""
        lag = self._switches.limits_lag_s
        data: dict[str, Any] = {}
        for name, most in self.maximum.items():
            window = self._windows.get(name)
            data[name] = {"Max": most, "Remaining": most - (window.used(lag) if window else 0)}
        data[API]["Dataloader Bulk"] = {"Max": 0, "Remaining": 0}
        data["PermissionSets"] = {
            "Max": 1_500,
            "Remaining": 1_499,
            "CreateCustom": {"Max": 1_000, "Remaining": 999},
        }
        return Reply(data)
