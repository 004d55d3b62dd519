"""Reads of `/limits`, for limits that no response header reports."""

from __future__ import annotations

import asyncio

import structlog

from rtsd.core.instant import HOUR_MS, Millis
from rtsd.core.quota import BULK_JOBS, BULK_MEGABYTES, DELIVERIES
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.salesforce.client import Client
from rtsd.salesforce.ledger import Clock
from rtsd.sync.ledger import StoredLedger

ONLY_IN_LIMITS = (
    BULK_JOBS,
    BULK_MEGABYTES,
    DELIVERIES,
    "DailyAsyncApexExecutions",  # each push is one
    "DataStorageMB",
    "FileStorageMB",
)
"""Limits that only `/limits` reports, by Salesforce's names."""

log = structlog.get_logger("rtsd.limits")


class Limits:
    """Reads the org's limits: before full reads, and for deliveries; at most once an hour unless told."""

    def __init__(self, client: Client, ledger: StoredLedger, now: Clock) -> None:
        self._client = client
        self._ledger = ledger
        self._now = now
        self._asking = asyncio.Lock()
        self._asked_at: Millis | None = None
        """The time of this run's last read."""

    async def is_due(self, max_age: Millis = HOUR_MS, *, earlier_runs: bool = True) -> bool:
        """Return whether `refresh` would read the limits."""
        read_at = self._asked_at
        if read_at is None and earlier_runs:
            read_at = await self._ledger.limit_read_at(BULK_JOBS)
        return read_at is None or self._now() - read_at >= max_age

    async def refresh(self, *, purpose: str, max_age: Millis = HOUR_MS, earlier_runs: bool = True) -> None:
        """Read the limits, unless this run read them within `max_age` (ms), or one of the `earlier_runs`.

        Limits that the sync user may not see stay unknown. They require View Setup and Configuration, and
        those of storage Manage Users (REST API guide, Limits). Raises QuotaExhausted, OrgUnreachable,
        AuthenticationFailed.
        """
        async with self._asking:
            if not await self.is_due(max_age, earlier_runs=earlier_runs):
                return
            try:
                found = await self._client.limits(purpose=purpose)
            except (QuotaExhausted, OrgUnreachable, AuthenticationFailed):
                raise
            except SalesforceError as error:
                log.info("limits not readable", reason=error.message)
                found = {}
            self._asked_at = self._now()
            for name, limit in found.items():
                if name in ONLY_IN_LIMITS:
                    self._ledger.observe_limit(name, limit.maximum - limit.remaining, limit.maximum)
