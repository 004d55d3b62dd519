"""Prices of work on the org, beside what its daily limits have left; and what work took in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rtsd.control import protocol
from rtsd.control.wire import estimate
from rtsd.core.cost import Cost
from rtsd.core.instant import DAY_MS, Millis
from rtsd.salesforce.client import Client
from rtsd.store import mirror, quota
from rtsd.store.database import Database
from rtsd.sync.estimate import columns_cost, full_read_cost, measure, measure_mirror, narrowed
from rtsd.sync.fingerprint import Fingerprinter
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.limits import Limits
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.windows import Windows


class Pricing:
    """Prices work on an object, and compares prices with the org's limits.

    The org is asked for the sizes, in at most three calls; a wide object needs more.
    """

    def __init__(
        self,
        client: Client,
        database: Database,
        ledger: StoredLedger,
        *,
        windows: Windows,
        limits: Limits,
        fingerprinter: Fingerprinter,
    ) -> None:
        self._client = client
        self._database = database
        self._ledger = ledger
        self._windows = windows
        self._limits = limits
        self._fingerprinter = fingerprinter

    async def fingerprints(self, objects: Iterable[MirroredObject]) -> protocol.Priced:
        """Return the price of audits by counts, which are taken now: one call for each object, or few."""
        costs = [await self._fingerprinter.price(mirrored) for mirrored in objects]
        return await self.priced(sum(costs, Cost()))

    async def full_read(self, mirrored: MirroredObject, *, ask_org: bool = True) -> protocol.Priced:
        """Return the price of a full audit; without `ask_org`, by the mirror's own size."""
        own = await mirror.count(self._database, mirrored.described)
        if ask_org:
            size = await measure(self._client, mirrored, self._windows.lookback_of(mirrored))
        else:
            size = await measure_mirror(self._database, mirrored, own)
        reads_limits = await self._limits.is_due()
        return await self.priced(full_read_cost(mirrored, size, own=own, reads_limits=reads_limits))

    async def columns(self, mirrored: MirroredObject, columns: Sequence[str]) -> protocol.Priced:
        """Return the price of reading columns of every row again."""
        narrow = narrowed(mirrored, columns)
        size = await measure(self._client, narrow, self._windows.lookback_of(mirrored))
        return await self.priced(columns_cost(narrow, size))

    async def priced(self, cost: Cost) -> protocol.Priced:
        """Return a price, and a problem for each limit that may not bear it now."""
        usage = [forecast.usage for forecast in await self._ledger.forecasts()]
        limits = {limit.name: (limit.max, limit.max - limit.used) for limit in usage}
        problems = [
            protocol.Problem(
                what=f"It needs as much as {share:.1f} % of {name}; {left:.1f} % can be used now.",
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
