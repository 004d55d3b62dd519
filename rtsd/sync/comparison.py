"""Org against mirror, id by id, where their counts differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from rtsd.core.change import Source
from rtsd.core.fingerprint import Differences, Histogram, compare, differing, unexplained_days
from rtsd.core.instant import DAY_MS, HOUR_MS, Millis, from_iso, to_iso
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.store import mirror
from rtsd.store.database import Database
from rtsd.sync import deletions
from rtsd.sync.histogram import OrgHistogram
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import BULK_ABOVE, NEVER, Query, Reader

PURPOSE = "audit"
"""The purpose, in the ledger, of every call of a fingerprint."""
SETTLE_MS: Millis = 60_000
"""Rows stamped in the last minute may still be on their way ..."""
GRACE_S = 2.0
"""... and are given this long to arrive before they are called drift."""
OVERLAP_MS: Millis = 600_000
"""A transaction's rows carry stamps from before its commit: so far behind the last proof is read again."""
FEW_DAYS = 8
"""Differing days that are compared hour by hour; more are listed whole."""
LISTED_AT_ONCE = 100_000
"""Ids held in memory at a time."""
LAST = "9999"
"""After every stamp."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Stamps from `since` until before `before`, ISO text; `before` empty: without an end."""

    since: str
    before: str = ""


@dataclass(slots=True)
class Comparison:
    """Compares one object, and collects the differences in `found`."""

    client: Client
    database: Database
    mirrored: MirroredObject
    found: Differences = field(default_factory=Differences)
    stamps: dict[str, str] = field(default_factory=dict)
    """The newest stamp on either side of each row that differs."""
    theirs: dict[str, str] = field(default_factory=dict)
    """The org's stamps of missing and stale rows."""

    async def compare(self, stretch: Stretch) -> None:
        """Compare ids and stamps of a stretch."""
        table = self.mirrored.described
        org = await org_stamps(self.client, self.database, self.mirrored, stretch)
        own = await mirror.stamps(self.database, table, stretch.since, stretch.before or LAST)
        own |= await mirror.stamps_of(self.database, table, org.keys() - own.keys())
        found = compare(org, own)
        self.found |= found
        self.stamps |= {
            record_id: max(org.get(record_id, ""), own.get(record_id, "")) for record_id in found.ids
        }
        self.theirs |= {record_id: org[record_id] for record_id in found.ids if record_id in org}

    async def unexplained(self, days: Mapping[str, int]) -> dict[str, int]:
        """The days whose counts the differences found so far do not explain."""
        own = await mirror.stamps_of(self.database, self.mirrored.described, self.found.ids)
        return unexplained_days(days, self.found, own)

    async def stretches(self, days: Mapping[str, int], org: Histogram, own: Histogram) -> list[Stretch]:
        """Stretches to read row by row: the differing hours of a few days; of many, whole days together."""
        if len(days) <= FEW_DAYS:
            return [stretch for day in days for stretch in await self._differing_hours(day)]
        together: list[Stretch] = []
        rows = LISTED_AT_ONCE
        for day in sorted(days):
            start = from_iso(f"{day}T00:00:00.000Z")
            size = max(org.get(day, 0), own.get(day, 0))
            if rows + size > LISTED_AT_ONCE:
                together.append(Stretch(to_iso(start)))
                rows = 0
            together[-1] = Stretch(together[-1].since, to_iso(start + DAY_MS))
            rows += size
        return together

    async def _differing_hours(self, day: str) -> list[Stretch]:
        """The hours of a day whose counts differ."""
        start = from_iso(f"{day}T00:00:00.000Z")
        own = await mirror.stamps(
            self.database, self.mirrored.described, to_iso(start), to_iso(start + DAY_MS)
        )
        hours = Counter(stamp[:13] for stamp in own.values())
        org = await OrgHistogram(self.client, self.database, self.mirrored, PURPOSE).by_hour(start)
        begins = [from_iso(f"{hour}:00:00.000Z") for hour in differing(org, hours)]
        return [Stretch(to_iso(begin), to_iso(begin + HOUR_MS)) for begin in begins]

    async def let_settle(self, now: Millis, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait a moment, and drop the rows that arrive: only the others are drift.

        Nobody knows when an orphan was deleted, so every orphan is given that time. One that has moved to
        another stamp by then was edited between two queries, and a row that the mirror learnt after the org
        was queried, `now`, is no orphan either.
        """
        found, stamps = self.found, self.stamps
        settled, asked = to_iso(now - SETTLE_MS), to_iso(now // 1000 * 1000)
        found.orphaned -= {record_id for record_id, stamp in stamps.items() if stamp >= asked}
        recent = any(stamps.get(record_id, "") >= settled for record_id in found.ids)
        if not recent and not found.orphaned:
            return
        await sleep(GRACE_S)
        own = await mirror.stamps_of(self.database, self.mirrored.described, found.ids)
        arrived = {record_id for record_id, stamp in own.items() if stamp >= stamps.get(record_id, LAST)}
        found.missing -= arrived
        found.stale -= arrived
        moved = {record_id for record_id, stamp in own.items() if stamp != stamps.get(record_id, stamp)}
        found.orphaned &= own.keys() - moved


async def org_stamps(
    client: Client, database: Database, mirrored: MirroredObject, stretch: Stretch
) -> dict[str, str]:
    """The org's ids and stamps of a stretch, by a Bulk job where the mirror has many rows of it."""
    cursor = mirrored.described.schema.cursor or ""
    where = soql.all_of(
        soql.since(cursor, stretch.since),
        soql.before(cursor, stretch.before) if stretch.before else "",
        mirrored.config.where,
    )
    own = await mirror.count_since(database, mirrored.described, stretch.since, stretch.before or LAST)
    query = Query(("Id", cursor), where, stamp=cursor)
    found: dict[str, str] = {}
    reader = Reader(client, mirrored, PURPOSE)
    async with aclosing(reader.rows(query, bulk_after=0 if own > BULK_ABOVE else NEVER)) as batches:
        async for batch in batches:
            found |= batch.stamps()
    return found


async def logged_deletions(
    client: Client, database: Database, mirrored: MirroredObject, now: Millis
) -> Differences:
    """Rows of the mirror that the org's delete log names since the last proof."""
    window = deletions.kept(mirrored.stored.proven_at - OVERLAP_MS, now)
    logged = await deletions.read(client, mirrored, window, source=Source.AUDIT, purpose=PURPOSE)
    ids = [change.id for change in logged.changes] if logged else []
    return Differences(orphaned=set(await mirror.stamps_of(database, mirrored.described, ids)))
