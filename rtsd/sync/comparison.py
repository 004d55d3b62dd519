"""Comparison of org and mirror, id by id, where their counts differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from rtsd.core.change import Source
from rtsd.core.cost import Cost
from rtsd.core.fingerprint import Differences, Histogram, compare, differing, unexplained_days
from rtsd.core.instant import DAY_MS, HOUR_MS, Millis, from_iso, to_iso
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.store import mirror
from rtsd.store.database import Database
from rtsd.sync import deletions
from rtsd.sync.histogram import OrgHistogram
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import BULK_ABOVE, NEVER, Query, Reader, read_cost

PURPOSE = "audit"
"""The purpose of a fingerprint's calls in the ledger."""
SETTLE_MS: Millis = 60_000
"""Rows stamped within this time may still be in flight ..."""
GRACE_S = 2.0
"""... and have this many seconds to arrive before they count as drift."""
OVERLAP_MS: Millis = 600_000
"""The time before the last proof that is compared again: a transaction's stamps precede its commit."""
MAX_DAYS_BY_HOUR = 8
"""Up to this many differing days are compared by hour; more are listed in full."""
MAX_IDS = 100_000
"""Ids in memory at a time."""


@dataclass(frozen=True, slots=True)
class StampRange:
    """A range of stamps (ISO, UTC), from `since` to `before`, exclusive; an empty `before` is open-ended."""

    since: str
    before: str = ""


@dataclass(slots=True)
class Comparison:
    """Compares one object, and collects the differences in `found`."""

    client: Client
    database: Database
    mirrored: MirroredObject
    before: str
    """The end (ISO, UTC, exclusive) of the stamps that were counted."""
    found: Differences = field(default_factory=Differences)
    ours: dict[str, str] = field(default_factory=dict)
    """The mirror's stamps of stale and orphaned rows (ISO, UTC), by id."""
    theirs: dict[str, str] = field(default_factory=dict)
    """The org's stamps of missing and stale rows, by id."""

    async def compare(self, span: StampRange) -> None:
        """Compare the ids and stamps of a range."""
        table = self.mirrored.described
        org = await org_stamps(self.client, self.database, self.mirrored, span)
        own = await mirror.stamps(self.database, table, span.since, span.before or mirror.END)
        own |= await mirror.stamps_of(self.database, table, org.keys() - own.keys())
        found = compare(org, own)
        self.found |= found
        self.ours |= {record_id: own[record_id] for record_id in found.ids if record_id in own}
        self.theirs |= {record_id: org[record_id] for record_id in found.ids if record_id in org}

    async def unexplained(self, days: Mapping[str, int]) -> dict[str, int]:
        """Return the days whose counts the differences found so far do not explain.

        A row edited in the org since the count was counted by its old stamp on both sides.
        """
        since = {record_id for record_id, stamp in self.theirs.items() if stamp >= self.before}
        counted = self.found.ids - since
        own = await mirror.stamps_of(self.database, self.mirrored.described, counted)
        return unexplained_days(
            days,
            (stamp for stamp in own.values() if stamp < self.before),
            (self.theirs[record_id] for record_id in counted & self.theirs.keys()),
        )

    async def ranges(self, days: Mapping[str, int], org: Histogram, own: Histogram) -> list[StampRange]:
        """Return the ranges to compare by id: the differing hours of a few days, or runs of whole days."""
        if len(days) <= MAX_DAYS_BY_HOUR:
            return [span for day in days for span in await self._differing_hours(day)]
        return runs_of_days(days, org, own)

    async def _differing_hours(self, day: str) -> list[StampRange]:
        """Return the hours of a day whose counts differ."""
        start = from_iso(f"{day}T00:00:00.000Z")
        own = await mirror.stamps(
            self.database, self.mirrored.described, to_iso(start), to_iso(start + DAY_MS)
        )
        hours = Counter(stamp[:13] for stamp in own.values())
        org = await OrgHistogram(self.client, self.database, self.mirrored, PURPOSE).by_hour(start)
        begins = [from_iso(f"{hour}:00:00.000Z") for hour in differing(org, hours)]
        return [StampRange(to_iso(begin), to_iso(begin + HOUR_MS)) for begin in begins]

    async def discard_arrivals(self, now: Millis, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait `GRACE_S`, and drop the rows that arrive meanwhile: only the others are drift.

        A row that the mirror alone shows edited since the org was queried at `now` (ms) is no drift. One that
        it shows edited before, as the org does not, is drift, however busy the org is. The time of an
        orphan's deletion is unknown, so every orphan is given the time.
        """
        found = self.found
        settled, asked = to_iso(now - SETTLE_MS), to_iso(now // 1000 * 1000)
        latest = to_iso(now + SETTLE_MS)
        edited = {record_id for record_id, stamp in self.ours.items() if asked <= stamp <= latest}
        found.orphaned -= edited
        found.stale -= edited
        newest = (max(self.ours.get(row, ""), self.theirs.get(row, "")) for row in found.ids)
        if not found.orphaned and not any(stamp >= settled for stamp in newest):
            return
        await sleep(GRACE_S)
        own = await mirror.stamps_of(self.database, self.mirrored.described, found.ids)
        moved = {record_id for record_id, stamp in own.items() if stamp != self.ours.get(record_id, stamp)}
        arrived = {
            record_id
            for record_id, stamp in own.items()
            if stamp >= self.theirs.get(record_id, mirror.END) and stamp != self.ours.get(record_id)
        }
        found.missing -= arrived
        found.stale -= arrived
        found.orphaned &= own.keys() - moved


def runs_of_days(days: Iterable[str], org: Histogram, own: Histogram) -> list[StampRange]:
    """Return ranges that together hold these days, each with at most `MAX_IDS` rows of them."""
    runs: list[StampRange] = []
    rows = MAX_IDS
    for day in sorted(days):
        start = from_iso(f"{day}T00:00:00.000Z")
        size = max(org.get(day, 0), own.get(day, 0))
        if rows + size > MAX_IDS:
            runs.append(StampRange(to_iso(start)))
            rows = 0
        runs[-1] = StampRange(runs[-1].since, to_iso(start + DAY_MS))
        rows += size
    return runs


def listing_cost(mirrored: MirroredObject, rows: int, own: int) -> Cost:
    """Return the cost of listing a range in which the org has so many rows, and the mirror `own`."""
    return read_cost(mirrored, rows, bulk_after=_bulk_after(own))


def _bulk_after(own: int) -> int:
    return 0 if own > BULK_ABOVE else NEVER


async def org_stamps(
    client: Client, database: Database, mirrored: MirroredObject, span: StampRange
) -> dict[str, str]:
    """Return the org's stamps in a range by id, read by a Bulk job if the mirror has many rows in it."""
    cursor = mirrored.described.schema.cursor or ""
    where = soql.all_of(
        soql.since(cursor, span.since),
        soql.before(cursor, span.before) if span.before else "",
        mirrored.config.where,
    )
    own = await mirror.count_since(database, mirrored.described, span.since, span.before or mirror.END)
    query = Query(("Id", cursor), where, stamp=cursor)
    found: dict[str, str] = {}
    reader = Reader(client, mirrored, PURPOSE)
    async with aclosing(reader.rows(query, bulk_after=_bulk_after(own))) as batches:
        async for batch in batches:
            found |= batch.stamps()
    return found


async def logged_deletions(
    client: Client, database: Database, mirrored: MirroredObject, now: Millis
) -> Differences:
    """Return the rows of the mirror that the org's delete log has named since the last proof, as orphaned."""
    window = deletions.retained(mirrored.stored.proven_at - OVERLAP_MS, now)
    logged = await deletions.read(client, mirrored, window, source=Source.AUDIT, purpose=PURPOSE)
    ids = [change.id for change in logged.changes] if logged else []
    return Differences(orphaned=set(await mirror.stamps_of(database, mirrored.described, ids)))
