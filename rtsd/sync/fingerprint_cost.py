"""The cost of a fingerprint and of its repairs, as far as the counts of both sides tell.

The counts say how many rows differ at least. Which rows differ, and whether more do, only the comparison
shows: so the cost is the certain one, and `repair_calls` lead to the highest that is likely. More than that
takes many rows that were deleted since the last proof while as many others were created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtsd.core.cost import Cost
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.object_state import ObjectState
from rtsd.store import mirror
from rtsd.store.database import Database
from rtsd.sync import deletions
from rtsd.sync.audit import failed_proof_cost, proof_cost
from rtsd.sync.comparison import MAX_DAYS_BY_HOUR, StampRange, listing_cost, runs_of_days
from rtsd.sync.histogram import Counts
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.repair import AT_ONCE, fetch_cost

HOURS = 24


async def fingerprint_cost(database: Database, mirrored: MirroredObject, counts: Counts) -> Cost:
    """Return the cost of a check that begins with these counts, the counting included."""
    days = counts.differing
    border = counts.since[:10]
    old = {day: count for day, count in days.items() if day < border}
    newer = sum(count for day, count in days.items() if day >= border)
    cost = Cost(api_calls=counts.org.queries, rows=sum(counts.org.rows.values()))
    compared = 0
    searched = list(old)
    if counts.reach_past_proof:
        own = await mirror.count_since(database, mirrored.described, counts.since)
        compared = max(own + newer, own)
        cost += listing_cost(mirrored, max(own + newer, 0), own)
        earlier = await mirror.count_since(database, mirrored.described, border, counts.since)
        searched += [border] * (border in days and earlier > 0)
    cost += await _Search(database, mirrored, counts).cost(old, searched, arrived=max(newer, 0))
    unsettled = len(await mirror.unsettled(database, mirrored.described, counts.since))
    cost += _repair_cost(mirrored, counts, unsettled=unsettled, compared=compared)
    if mirrored.state is not ObjectState.LIVE:
        cost += proof_cost(mirrored)
    return cost


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for the rows that differ, in the days whose counts differ."""

    database: Database
    mirrored: MirroredObject
    counts: Counts

    async def cost(self, old: Mapping[str, int], searched: list[str], *, arrived: int) -> Cost:
        """Return the cost of the search in `old` days, and at most in all of `searched`.

        A row that the mirror has too many may have moved to the `arrived` ones that the org has more since
        the last proof, which are compared anyway. Or the delete log names it. A row that it lacks is searched
        for.
        """
        if not searched:
            return Cost()
        lacking = [day for day, count in old.items() if count > 0]
        surplus = -sum(count for count in old.values() if count < 0)
        log = deletions.log_cost(self.mirrored)
        known = await self._days(lacking, hours=1)
        if lacking or surplus > arrived:
            known += log
        return known.or_at_most(log + await self._days(searched, hours=HOURS))

    async def _days(self, days: list[str], *, hours: int) -> Cost:
        """Return the cost of comparing the rows of these days by id: whole days if they are many.

        A few days are compared by the hour; the rows of each that differ lie in at most `hours` of them.
        """
        org, own = self.counts.org.rows, self.counts.own
        cost = Cost()
        if len(days) > MAX_DAYS_BY_HOUR:
            for run in runs_of_days(days, org, own):
                cost += await self._run(run)
            return cost
        for day in days:
            theirs, ours = org.get(day, 0), own.get(day, 0)
            spread = min(abs(theirs - ours), hours)
            listing = listing_cost(self.mirrored, max(theirs, ours) // spread, ours // spread)
            cost += Cost(api_calls=1 + listing.api_calls * spread)
        return cost

    async def _run(self, run: StampRange) -> Cost:
        own = await mirror.count_since(self.database, self.mirrored.described, run.since, run.before)
        return listing_cost(self.mirrored, own, own)


def _repair_cost(mirrored: MirroredObject, counts: Counts, *, unsettled: int, compared: int) -> Cost:
    """Return the cost of fetching the rows that differ by the counts, and at most all that may.

    Those are the rows that are `compared` since the last proof, and a batch of deleted ones. A row whose
    stamp has moved lowers one day's count and raises another's. Too many that are gone are only looked up
    in the delete log.
    """
    days = counts.differing
    more = sum(count for count in days.values() if count > 0)
    fewer = -sum(count for count in days.values() if count < 0)
    gone = max(fewer - more, 0)
    known = fetch_cost(mirrored, max(more, fewer) + unsettled, gone)
    if not is_plausible(gone, sum(counts.own.values())):
        known = deletions.log_cost(mirrored) + fetch_cost(mirrored, more + unsettled)
        known += failed_proof_cost(mirrored)
    most = max(more + fewer, compared, unsettled)
    return known.or_at_most(fetch_cost(mirrored, most, max(gone, min(most, AT_ONCE))))
