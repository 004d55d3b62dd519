"""The ledger at work: no call without its entry, none beyond the reserve or the operator's own caps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rtsd.core.instant import Millis
from rtsd.errors import QuotaExhausted
from rtsd.salesforce.ledger import API_REQUESTS, LOGINS
from rtsd.store import quota
from rtsd.store.database import Database

DAY_MS: Millis = 24 * 3_600_000
RECOUNT_MS: Millis = 60_000
"""How often the rolling 24 hours are summed up again."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What rtsd leaves alone: a share of each daily limit, and more than its own caps."""

    reserve: float
    daily: Mapping[str, int]
    """Own caps by resource, per 24 hours."""


class StoredLedger:
    """Writes every call down before it is sent (salesforce.ledger.Ledger)."""

    def __init__(self, database: Database, caps: Caps, now: Callable[[], Millis]) -> None:
        self._database = database
        self._caps = caps
        self._now = now
        self._spent: dict[str, int] = {}
        self._counted_at: Millis = -RECOUNT_MS
        self.used: tuple[int, int] | None = None
        """Sforce-Limit-Info of the newest answer: requests used in the org's last 24 hours, and allowed."""

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Write down what is sent next. Raises QuotaExhausted when it may not be; then nothing is."""
        await self._recount()
        if resource != LOGINS:
            self._check(resource, count)
        await self.record(purpose, resource, count)

    async def record(self, purpose: str, resource: str, count: int) -> None:
        """Write down what was drawn."""
        async with self._database.transaction() as tx:
            await quota.spend(tx, self._now(), purpose, resource, count)
        self._spent[resource] = self._spent.get(resource, 0) + count

    def saw_usage(self, used: int, highest: int) -> None:
        """Take the usage that came with an answer."""
        self.used = (used, highest)

    def _check(self, resource: str, count: int) -> None:
        cap = self._caps.daily.get(resource)
        if cap is not None and self._spent.get(resource, 0) + count > cap:
            raise QuotaExhausted(
                f"rtsd's own cap of {cap} {resource} in 24 hours is reached",
                "raise it in [quota.daily], or wait; nothing is lost",
            )
        if resource == API_REQUESTS and self.used is not None:
            used, highest = self.used
            floor = int(highest * self._caps.reserve)
            if highest - used - count < floor:
                raise QuotaExhausted(
                    f"{highest - used} of {highest} API requests are left; {floor} are reserved for others",
                    "lower [quota] reserve, or wait until older calls leave the rolling 24 hours",
                )

    async def _recount(self) -> None:
        now = self._now()
        if now - self._counted_at >= RECOUNT_MS:
            self._counted_at = now
            self._spent = await quota.spent_by_resource(self._database, now - DAY_MS)
