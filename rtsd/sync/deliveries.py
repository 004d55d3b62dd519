"""The org's event deliveries: counted as they come, read from its limits, and kept within the budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from rtsd.core.delivery_budget import DeliveryBudget, DeliveryUsage
from rtsd.core.instant import HOUR_MS, MINUTE_MS, Millis
from rtsd.core.quota import DELIVERIES
from rtsd.errors import QuotaExhausted
from rtsd.services import Service
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.limits import Limits

PURPOSE = "stream"
"""The ledger's purpose of deliveries, and of the calls that read the org's limits because of them."""

log = structlog.get_logger("rtsd.deliveries")


class Deliveries(Service):
    """Counts deliveries, and says whether rtsd may subscribe."""

    name = "event_deliveries"

    def __init__(
        self, budget: DeliveryBudget, limits: Limits, ledger: StoredLedger, now: Callable[[], Millis]
    ) -> None:
        super().__init__()
        self._budget = budget
        self._limits = limits
        self._ledger = ledger
        self._now = now
        self._unrecorded = 0
        """Events received since the last entry in the ledger."""
        self._last_read: tuple[Millis, DeliveryUsage] | None = None
        self._next_read: Millis = 0
        self._is_suspended: bool | None = None
        """None until the org was asked: it may be at its limit when rtsd starts."""
        self.changed = asyncio.Event()
        """Set when rtsd may subscribe, and when it is known for the first time whether it may."""

    @property
    def usage(self) -> DeliveryUsage | None:
        """The deliveries to all subscribers; None if the org does not report them to this user."""
        known = self._ledger.current(DELIVERIES)
        return None if known is None else DeliveryUsage(known[0] + self._unrecorded, known[1])

    def ours(self) -> int:
        """Return how many events rtsd received in the last 24 hours."""
        return self._ledger.spent(DELIVERIES) + self._unrecorded

    def received(self, events: int) -> None:
        """Count events as they come."""
        self._unrecorded += events

    @property
    def is_known(self) -> bool:
        """Whether the org was asked since the start."""
        return self._is_suspended is not None

    def may_subscribe(self) -> bool:
        """Return whether rtsd may begin a subscription, or go on with it."""
        if self._is_suspended is None:
            return False
        self._judge()
        return not self._is_suspended

    def stops_at(self, highest: int) -> int:
        """Return the number of deliveries, to all subscribers, at which rtsd unsubscribes."""
        return self._budget.stops_at(highest)

    def refusal(self) -> str:
        """Return why rtsd does not subscribe."""
        usage = self.usage
        if usage is None:
            return "the org's event deliveries are not known yet"
        return (
            f"{usage.used:,} of the org's {usage.highest:,} event deliveries of 24 hours are used,"
            f" rtsd stops at {self.stops_at(usage.highest):,} ([push] deliveries)"
        )

    async def step(self) -> float:
        """Record what has come, and read the limits if that is due. Raises SalesforceError."""
        if count := self._unrecorded:
            await self._ledger.record(PURPOSE, DELIVERIES, count, partial(self._recorded, count))
        if self._now() >= self._next_read:
            await self._read_limits()
        self._judge()
        return min(self._next_read - self._now(), MINUTE_MS) / 1000

    def _recorded(self, count: int) -> None:
        self._unrecorded -= count

    async def _read_limits(self) -> None:
        """Read the org's limits, and choose when to read them next. Raises SalesforceError.

        An earlier run's figure counts for nothing: a sample has the time at which it was stored, and others
        have used deliveries since.
        """
        try:
            await self._limits.refresh(purpose=PURPOSE, max_age=MINUTE_MS, earlier_runs=False)
        except QuotaExhausted as error:  # events cost no calls: without figures, Salesforce is the judge
            log.info("deliveries not read", reason=error.message)
        now, usage, before = self._now(), self.usage, self._last_read
        if usage is None:
            self._next_read = now + HOUR_MS
            return
        self._last_read = now, usage
        self._next_read = now + self._budget.read_after(
            usage, before and before[1], now - before[0] if before else 0
        )

    def _judge(self) -> None:
        """Suspend the subscription, or allow it."""
        usage = self.usage
        is_suspended = usage is not None and not self._budget.may_subscribe(
            usage, subscribed=not self._is_suspended
        )
        was_suspended, self._is_suspended = self._is_suspended, is_suspended
        if is_suspended is was_suspended:
            return
        log.info("deliveries", suspended=is_suspended, used=usage and usage.used)
        if is_suspended and was_suspended is False:  # by our own count: ask the org
            self._next_read = self._now()
            self.wake.set()
        else:
            self.changed.set()
