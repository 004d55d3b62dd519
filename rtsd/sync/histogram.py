"""The org's counts of an object's rows, by day and by hour of their stamp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from rtsd.core.fingerprint import differing
from rtsd.core.instant import DAY_MS, Millis, from_iso, to_iso
from rtsd.errors import SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.counting import TOO_SLOW
from rtsd.salesforce.shapes import DayShape, EarliestShape, HourShape, odd
from rtsd.store import mirror
from rtsd.store.database import Database
from rtsd.sync.mirrored_object import MirroredObject

GROUPS = 2_000
"""The most groups of an aggregate query (SOQL and SOSL Reference, Considerations for GROUP BY) ..."""
TOO_MANY_GROUPS = "EXCEEDED_ID_LIMIT"
"""... beyond which Salesforce refuses it with this undocumented code."""
SPARE_GROUPS = 50
"""Groups left free for days that only the org has."""
PARTS = (1, 16, 256)
"""Numbers of queries over which to spread a count, tried in turn while one query takes too long."""

log = structlog.get_logger("rtsd.fingerprint")


@dataclass(frozen=True, slots=True)
class DayCounts:
    """The org's counts of an object's rows."""

    rows: dict[str, int]
    """By the day of their stamp (`YYYY-MM-DD`, UTC)."""
    newest: str
    """The newest stamp (ISO, UTC); empty without rows."""
    queries: int
    """The number of queries that it took."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of both sides, with which a fingerprint begins. Times are ISO, UTC."""

    now: Millis
    """Salesforce's time when the org was asked, in ms."""
    since: str
    """From here on rows are compared one by one: the last proof, less an overlap."""
    before: str
    """The end of what was counted, exclusive."""
    org: DayCounts
    own: dict[str, int]
    """The mirror's rows by the day of their stamp."""

    @property
    def differing(self) -> dict[str, int]:
        """The days whose counts differ, with the org's count minus the mirror's."""
        return differing(self.org.rows, self.own)

    @property
    def reach_past_proof(self) -> bool:
        """Whether rows stamped since the last proof have to be compared one by one."""
        return self.org.newest >= self.since or any(day >= self.since[:10] for day in self.differing)


@dataclass(frozen=True, slots=True)
class OrgHistogram:
    """Has the org count the rows of one object, within the limits of aggregate queries."""

    client: Client
    database: Database
    mirrored: MirroredObject
    purpose: str

    async def by_day(self, before: str) -> DayCounts:
        """Count the rows stamped before `before` (ISO, UTC) by day.

        The count is spread over several queries if there are too many days for one.
        """
        for parts in PARTS:
            try:
                return await self._count_days(await self._windows(before, parts))
            except SalesforceError as error:
                if error.reason == TOO_MANY_GROUPS or "queryMore" in error.message:
                    log.info("org has more days than the mirror", object=self.mirrored.name)
                    break
                if error.reason not in TOO_SLOW or parts == PARTS[-1]:
                    raise
                log.info("counting took too long", object=self.mirrored.name, parts=parts)
        return await self._count_days(await self._calendar(before))

    async def by_hour(self, day: Millis) -> dict[str, int]:
        """Return the counts by hour (`YYYY-MM-DDTHH`, UTC) of the day that begins at `day` (ms)."""
        mirrored = self.mirrored
        cursor = mirrored.described.schema.cursor or ""
        where = soql.all_of(soql.between(cursor, day, day + DAY_MS), mirrored.config.where)
        page = await self.client.query(soql.by_hour(mirrored.name, cursor, where), purpose=self.purpose)
        date = to_iso(day)[:10]
        return {f"{date}T{row.h:02d}": row.n for row in page.rows(HourShape)}

    async def _count_days(self, windows: Sequence[str]) -> DayCounts:
        mirrored = self.mirrored
        cursor = mirrored.described.schema.cursor or ""
        counts: dict[str, int] = {}
        newest = ""
        for condition in windows:
            where = soql.all_of(condition, mirrored.config.where)
            page = await self.client.query(soql.by_day(mirrored.name, cursor, where), purpose=self.purpose)
            for row in page.rows(DayShape):
                counts[row.d] = row.n
                newest = max(newest, row.m)
        return DayCounts(counts, newest, len(windows))

    async def _windows(self, before: str, parts: int) -> list[str]:
        """Return conditions that together cover every stamp before `before`, each with few enough days.

        They have about the same number of rows, except for a single day with more.
        """
        table = self.mirrored.described
        own = await mirror.histogram(self.database, table, before)
        most, share = GROUPS - SPARE_GROUPS, sum(own.values()) / parts
        borders, days, rows = [], 0, 0
        for day in sorted(own):
            if days and (days >= most or rows + own[day] > share):
                borders.append(f"{day}T00:00:00.000Z")
                days = rows = 0
            days, rows = days + 1, rows + own[day]
        return _between(table.schema.cursor or "", borders, before)

    async def _calendar(self, before: str) -> list[str]:
        """Return conditions as `_windows` does, by the calendar: the mirror lacks some of the org's days."""
        mirrored = self.mirrored
        cursor = mirrored.described.schema.cursor or ""
        where = soql.all_of(soql.before(cursor, before), mirrored.config.where)
        page = await self.client.query(soql.earliest(mirrored.name, cursor, where), purpose=self.purpose)
        rows = page.rows(EarliestShape)
        if not rows:
            raise odd("a query", "an aggregate has no row")
        first = from_iso(rows[0].m) // DAY_MS * DAY_MS
        step = (GROUPS - SPARE_GROUPS) * DAY_MS
        borders = [to_iso(day) for day in range(first + step, from_iso(before), step)]
        return _between(cursor, borders, before)


def _between(cursor: str, borders: Sequence[str], end: str) -> list[str]:
    """Return conditions for the ranges between `borders`: before the first, ..., from the last to `end`."""
    starts = ["", *(soql.since(cursor, border) for border in borders)]
    ends = [soql.before(cursor, border) for border in (*borders, end)]
    return [soql.all_of(start, stop) for start, stop in zip(starts, ends, strict=True)]
