"""Reading `/limits`: only when work needs to know what no answer's header tells."""

from __future__ import annotations

import asyncio

import structlog

from rtsd.core.instant import HOUR_MS, Millis
from rtsd.core.quota import BULK_JOBS, BULK_MEGABYTES
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.salesforce.client import Client
from rtsd.salesforce.ledger import Clock
from rtsd.sync.ledger import StoredLedger

TOLD_ONLY_THERE = (
    BULK_JOBS,
    BULK_MEGABYTES,
    "DailyAsyncApexExecutions",  # each push is one
    "DataStorageMB",
    "FileStorageMB",
)

log = structlog.get_logger("rtsd.limits")


class Limits:
    """Asks for the org's limits before full reads, at most once an hour."""

    def __init__(self, client: Client, ledger: StoredLedger, now: Clock) -> None:
        self._client = client
        self._ledger = ledger
        self._now = now
        self._asking = asyncio.Lock()
        self._asked_at: Millis | None = None

    async def refresh(self, *, purpose: str) -> None:
        """Read them, unless that was done within the hour; also by an earlier run.

        What the sync user may not see (it takes View Setup and Configuration, and Manage Users for
        storage; REST API guide, Limits) stays unknown.
        Raises QuotaExhausted, OrgUnreachable, AuthenticationFailed.
        """
        async with self._asking:
            if self._asked_at is None:
                self._asked_at = await self._ledger.limit_read_at(BULK_JOBS)
            if self._asked_at is not None and self._now() - self._asked_at < HOUR_MS:
                return
            try:
                told = await self._client.limits(purpose=purpose)
            except (QuotaExhausted, OrgUnreachable, AuthenticationFailed):
                raise
            except SalesforceError as error:
                log.info("limits not told", reason=error.message)
                told = {}
            self._asked_at = self._now()
            for name, limit in told.items():
                if name in TOLD_ONLY_THERE:
                    self._ledger.saw_limit(name, limit.maximum - limit.remaining, limit.maximum)
