"""Prices of work on the org, beside what its daily limits have left; and what work took in the end."""

from __future__ import annotations

from collections import Counter

from rtsd.control import protocol
from rtsd.control.wire import estimate
from rtsd.core.cost import Cost
from rtsd.core.instant import DAY_MS, Millis
from rtsd.store import quota
from rtsd.store.database import Database
from rtsd.sync.ledger import StoredLedger


class Pricing:
    """Compares prices with the org's limits."""

    def __init__(self, ledger: StoredLedger) -> None:
        self._ledger = ledger

    async def priced(self, cost: Cost) -> protocol.Priced:
        """Return a price, and a problem for each limit that cannot bear it now."""
        usage = [forecast.usage for forecast in await self._ledger.forecasts()]
        limits = {limit.name: (limit.max, limit.max - limit.used) for limit in usage}
        problems = [
            protocol.Problem(
                what=f"It takes {share:.1f} % of {name}; {left:.1f} % can be used now.",
                do="It pauses and resumes as calls free up; a lower [quota] reserve helps.",
            )
            for name, share, left in cost.beyond(limits, self._ledger.reserve)
        ]
        maxima = {name: highest for name, (highest, _) in limits.items()}
        return protocol.Priced(estimate=estimate(cost, maxima), problems=problems)


class Spending:
    """What was drawn on the limits since a piece of work began, by the ledger."""

    def __init__(self, database: Database, since: Millis, before: Counter[str]) -> None:
        self._database = database
        self._since = since
        self._before = before

    @classmethod
    async def begin(cls, database: Database, now: Millis) -> Spending:
        """Start to count."""
        since = now - DAY_MS
        return cls(database, since, await _spent(database, since))

    async def so_far(self) -> Counter[str]:
        """Return what was drawn since, by limit."""
        return await _spent(self._database, self._since) - self._before


async def _spent(database: Database, since: Millis) -> Counter[str]:
    return Counter(await quota.spent_by_resource(database, since))
