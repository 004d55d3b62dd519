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

    async def is_due(self, max_age: Millis = HOUR_MS) -> bool:
        """Return whether `refresh` would read the limits."""
        if self._asked_at is None:
            self._asked_at = await self._ledger.limit_read_at(BULK_JOBS)
        return self._asked_at is None or self._now() - self._asked_at >= max_age

    async def refresh(self, *, purpose: str, max_age: Millis = HOUR_MS) -> None:
        """Read the limits, unless this or an earlier run read them within `max_age` (ms).

        Limits that the sync user may not see stay unknown. They require View Setup and Configuration, and
        those of storage Manage Users (REST API guide, Limits). Raises QuotaExhausted, OrgUnreachable,
        AuthenticationFailed.
        """
        async with self._asking:
            if not await self.is_due(max_age):
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
