"""The cheap audit: counts by stamp, org against mirror; only what differs is looked at closer.

One call per object when nothing has changed since the last proof. After that, the rows edited since
are compared by id and stamp (2,000 in a call), the delete log explains what has gone, and days that
still differ are read by hour, then by id. Only ids that differ are fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from rtsd.core.change import Outcome, Source
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.fingerprint import Differences, compare, differing, unexplained_days
from rtsd.core.ids import full_id
from rtsd.core.instant import DAY_MS, HOUR_MS, Millis, from_iso, normal_iso, to_iso
from rtsd.core.silence import is_watched
from rtsd.errors import SalesforceError
from rtsd.salesforce import bulk, soql
from rtsd.salesforce.counting import TOO_SLOW
from rtsd.store import fetches, journal, mirror
from rtsd.store.journal import Note
from rtsd.sync import deletions
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.deletion_guard import guard_deletions
from rtsd.sync.engine import Engine

SETTLE_MS: Millis = 60_000
"""Rows stamped in the last minute may still be on their way ..."""
GRACE_S = 2.0
"""... and are given this long to arrive before they are called drift."""
OVERLAP_MS: Millis = 600_000
"""A transaction's rows carry stamps from before its commit: so far behind the last proof is read again."""
GROUPS = 2_000
"""An aggregate query refuses more groups (SOQL and SOSL Reference, Considerations for GROUP BY) ..."""
TOO_MANY_GROUPS = "EXCEEDED_ID_LIMIT"
"""... with this code, which is not documented."""
PARTS = (1, 16, 256)
"""An org that takes too long to count is asked by so many parts."""
SPARE_GROUPS = 50
"""Days that only the org may have."""
PAGE = 2_000
BULK_ABOVE = 20_000
"""Rows from which a Bulk job takes fewer calls than pages."""
FEW_DAYS = 8
"""So many differing days are looked at hour by hour; more are listed whole."""
LISTED_AT_ONCE = 100_000
"""Ids held in memory at a time."""
MOST_NAMED = 1_000
MOST_LOOKED_AT = 100_000
"""Entries of a repair that are told apart."""
LAST = "9999"
"""After every stamp."""
PURPOSE = "audit"
UNSETTLED = "it was seen within the second of its stamp, and may have changed again in it"

log = structlog.get_logger("rtsd.fingerprint")


@dataclass(slots=True)
class Fingerprint:
    """What one check found."""

    before: str
    """The moment of the check, ISO, on Salesforce's clock."""
    checked: int = 0
    """Rows that were counted."""
    found: Differences = field(default_factory=Differences)
    stamps: dict[str, str] = field(default_factory=dict)
    """The newest stamp that either side shows of what was found."""
    theirs: dict[str, str] = field(default_factory=dict)
    """The org's stamps of what is missing or stale."""
    unsettled: set[str] = field(default_factory=set)
    """Rows seen within the second of their stamp: another edit in it would not show. They are fetched too."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Stamps from `since` until before `before`, ISO text; `before` empty: without an end."""

    since: str
    before: str = ""


def _may_be_held_back(mirrored: MirroredObject, found: Differences) -> bool:
    """Whether sync conditions may be all there is to it: only the rows' values will tell."""
    return bool(mirrored.conditions) and not found.missing and not found.orphaned


def _between(cursor: str, borders: Sequence[str], end: str) -> list[str]:
    """Conditions for the stretches between moments: before the first, ..., from the last to `end`."""
    starts = ["", *(f"{cursor} >= {soql.moment(border)}" for border in borders)]
    ends = [*(f"{cursor} < {soql.moment(border)}" for border in borders), end]
    return [soql.all_of(start, stop) for start, stop in zip(starts, ends, strict=True)]


class Fingerprinter:
    """Compares one object at a time, and asks for what differs to be fetched."""

    def __init__(self, engine: Engine, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._engine = engine
        self._sleep = sleep

    async def step(self, mirrored: MirroredObject) -> Fingerprint:
        """Check one object. What differs is put on the list of records to fetch.

        Raises what the client raises; then nothing was proven.
        """
        now = self._engine.salesforce_now()
        before = to_iso(now // 1000 * 1000 + 1000)
        since = await self._since(mirrored)
        org, newest = await self._org_histogram(mirrored, before)
        own = await mirror.histogram(self._engine.database, mirrored.described, before)
        result = Fingerprint(to_iso(now), checked=sum(org.values()))
        days = left = differing(org, own)
        if newest >= since or any(day >= since[:10] for day in days):
            await self._compare(mirrored, _Stretch(since), result)
            left = await self._explained(mirrored, days, result.found)
        if left:
            result.found |= await self._from_delete_log(mirrored)
            left = await self._explained(mirrored, days, result.found)
        for stretch in await self._stretches(mirrored, left, org, own):
            await self._compare(mirrored, stretch, result)
        result.found.orphaned -= result.found.stale  # it moved out of the stretch that was looked at
        await self._let_settle(mirrored, result, now)
        result.unsettled = await mirror.unsettled(self._engine.database, mirrored.described, since)
        await self._finish(mirrored, result)
        return result

    async def stamped(self, mirrored: MirroredObject, since: str, before: str) -> set[str]:
        """The ids of the records that either side has stamped from `since` until before `before`."""
        org = await self._org_stamps(mirrored, _Stretch(since, before))
        own = await mirror.stamps(self._engine.database, mirrored.described, since, before)
        return org.keys() | own.keys()

    async def prove(self, mirrored: MirroredObject, result: Fingerprint) -> None:
        """Take a check for the new proof, once nothing that it found is left to be fetched."""
        async with self._engine.unit_of_work() as unit:
            if not await fetches.any_for(unit.tx, mirrored.name):
                await self._engine.catalog.update(unit.tx, mirrored, proven_at=result.before)

    async def contradicted(self, mirrored: MirroredObject, result: Fingerprint) -> int:
        """How many stale rows are, after their repair, still stamped as the org has never shown them."""
        own = await mirror.stamps_of(self._engine.database, mirrored.described, result.found.stale)
        return sum(
            1 for one, stamp in own.items() if result.theirs.get(one, stamp) < stamp == result.stamps[one]
        )

    async def _since(self, mirrored: MirroredObject) -> str:
        """From where on rows are compared one by one: the last proof, and a little before it if cheap."""
        cautious = to_iso(max(mirrored.proven_at - OVERLAP_MS, 0))
        rows = await mirror.count_since(self._engine.database, mirrored.described, cautious)
        return cautious if rows <= PAGE else to_iso(mirrored.proven_at)

    async def _stretches(
        self,
        mirrored: MirroredObject,
        days: Mapping[str, int],
        org: Mapping[str, int],
        own: Mapping[str, int],
    ) -> list[_Stretch]:
        """What to read row by row: the hours that differ of a few days; of many days, whole ones together."""
        if len(days) <= FEW_DAYS:
            found: list[_Stretch] = []
            for day in days:
                found += await self._differing_hours(mirrored, day)
            return found
        together: list[_Stretch] = []
        rows = LISTED_AT_ONCE
        for day in sorted(days):
            start = from_iso(f"{day}T00:00:00.000Z")
            size = max(org.get(day, 0), own.get(day, 0))
            if rows + size > LISTED_AT_ONCE:
                together.append(_Stretch(to_iso(start)))
                rows = 0
            together[-1] = _Stretch(together[-1].since, to_iso(start + DAY_MS))
            rows += size
        return together

    async def _org_histogram(self, mirrored: MirroredObject, before: str) -> tuple[dict[str, int], str]:
        """Counts by day, and the newest stamp before `before`; in windows where there are too many days."""
        for parts in PARTS:
            try:
                return await self._count_days(mirrored, await self._windows(mirrored, before, parts))
            except SalesforceError as error:
                if error.reason == TOO_MANY_GROUPS or "queryMore" in error.message:
                    log.info("more days than the mirror has", object=mirrored.name)
                    break
                if error.reason not in TOO_SLOW or parts == PARTS[-1]:
                    raise
                log.info("counting took too long", object=mirrored.name, parts=parts)
        return await self._count_days(mirrored, await self._calendar(mirrored, before))

    async def _count_days(
        self, mirrored: MirroredObject, windows: Sequence[str]
    ) -> tuple[dict[str, int], str]:
        cursor = mirrored.described.schema.cursor or ""
        counts: dict[str, int] = {}
        newest = ""
        for condition in windows:
            where = soql.all_of(condition, mirrored.config.where)
            statement = (
                f"SELECT DAY_ONLY({cursor}) d, COUNT(Id) n, MAX({cursor}) m FROM {mirrored.name}"  # noqa: S608
                f" WHERE {where} GROUP BY DAY_ONLY({cursor})"
            )
            page = await self._engine.client.query(statement, purpose=PURPOSE)
            for row in page.records:
                counts[str(row["d"])] = int(row["n"])
                newest = max(newest, normal_iso(str(row["m"])))
        return counts, newest

    async def _windows(self, mirrored: MirroredObject, before: str, parts: int) -> list[str]:
        """Conditions that together cover every stamp before `before`, each with few enough days.

        None has much more than its part of the rows, but for a day that has more alone.
        """
        cursor = mirrored.described.schema.cursor or ""
        own = await mirror.histogram(self._engine.database, mirrored.described, before)
        end = f"{cursor} < {soql.moment(before)}"
        most, share = GROUPS - SPARE_GROUPS, sum(own.values()) / parts
        borders, days, rows = [], 0, 0
        for day in sorted(own):
            if days and (days >= most or rows + own[day] > share):
                borders.append(f"{day}T00:00:00.000Z")
                days = rows = 0
            days, rows = days + 1, rows + own[day]
        return _between(cursor, borders, end)

    async def _calendar(self, mirrored: MirroredObject, before: str) -> list[str]:
        """Conditions as `_windows`, for an org with days that the mirror does not know: by the calendar."""
        cursor = mirrored.described.schema.cursor or ""
        end = f"{cursor} < {soql.moment(before)}"
        where = soql.all_of(end, mirrored.config.where)
        statement = f"SELECT MIN({cursor}) m FROM {mirrored.name} WHERE {where}"  # noqa: S608
        page = await self._engine.client.query(statement, purpose=PURPOSE)
        first = from_iso(normal_iso(str(page.records[0]["m"]))) // DAY_MS * DAY_MS
        step = (GROUPS - SPARE_GROUPS) * DAY_MS
        return _between(cursor, [to_iso(day) for day in range(first + step, from_iso(before), step)], end)

    async def _compare(self, mirrored: MirroredObject, stretch: _Stretch, result: Fingerprint) -> None:
        """Compare ids and stamps of a stretch."""
        org = await self._org_stamps(mirrored, stretch)
        database, table = self._engine.database, mirrored.described
        own = await mirror.stamps(database, table, stretch.since, stretch.before or LAST)
        own |= await mirror.stamps_of(database, table, org.keys() - own.keys())
        found = compare(org, own)
        result.found |= found
        result.stamps |= {one: max(org.get(one, ""), own.get(one, "")) for one in found.ids}
        result.theirs |= {one: org[one] for one in found.ids if one in org}

    async def _let_settle(self, mirrored: MirroredObject, result: Fingerprint, now: Millis) -> None:
        """What changed in the last minute may be on its way: it is drift only if it does not arrive.

        When an orphan was deleted nobody knows, so each is given that time. One that has moved to another
        stamp by then was edited between two of our questions, and what the mirror learnt after the org was
        asked, `now`, is no orphan either.
        """
        settled, asked = to_iso(now - SETTLE_MS), to_iso(now // 1000 * 1000)
        result.found.orphaned -= {one for one, stamp in result.stamps.items() if stamp >= asked}
        recent = any(result.stamps.get(one, "") >= settled for one in result.found.ids)
        if not recent and not result.found.orphaned:
            return
        await self._sleep(GRACE_S)
        own = await mirror.stamps_of(self._engine.database, mirrored.described, result.found.ids)
        arrived = {one for one, stamp in own.items() if stamp >= result.stamps.get(one, LAST)}
        result.found.missing -= arrived
        result.found.stale -= arrived
        moved = {one for one, stamp in own.items() if stamp != result.stamps.get(one, stamp)}
        result.found.orphaned &= own.keys() - moved

    async def _org_stamps(self, mirrored: MirroredObject, stretch: _Stretch) -> dict[str, str]:
        """Ids and stamps of a stretch: page by page, or by a Bulk job where that takes fewer calls."""
        cursor = mirrored.described.schema.cursor or ""
        condition = soql.all_of(
            f"{cursor} >= {soql.moment(stretch.since)}",
            f"{cursor} < {soql.moment(stretch.before)}" if stretch.before else "",
            mirrored.config.where,
        )
        own = await mirror.count_since(
            self._engine.database, mirrored.described, stretch.since, stretch.before or LAST
        )
        if own > BULK_ABOVE:
            return await self._org_stamps_by_bulk(mirrored, condition)
        found: dict[str, str] = {}
        behind = ""
        while True:
            where = soql.all_of(condition, behind)
            statement = soql.select(("Id", cursor), mirrored.name, where, order_by=f"{cursor},Id", limit=PAGE)
            page = await self._engine.client.query(statement, purpose=PURPOSE)
            for row in page.records:
                found[full_id(str(row["Id"]))] = normal_iso(str(row[cursor]))
            if page.done and len(page.records) < PAGE:
                return found
            last = page.records[-1]
            behind = soql.after_stamp(cursor, normal_iso(str(last[cursor])), str(last["Id"]))

    async def _org_stamps_by_bulk(self, mirrored: MirroredObject, condition: str) -> dict[str, str]:
        cursor = mirrored.described.schema.cursor or ""
        statement = soql.select(("Id", cursor), mirrored.name, condition)
        found: dict[str, str] = {}
        async with bulk.job(self._engine.client, statement, purpose=PURPOSE) as job:
            async for part in job.rows():
                found |= {full_id(one): normal_iso(stamp) for one, stamp in part.rows}
        return found

    async def _explained(
        self, mirrored: MirroredObject, days: Mapping[str, int], found: Differences
    ) -> dict[str, int]:
        stamps = await mirror.stamps_of(self._engine.database, mirrored.described, found.ids)
        return unexplained_days(days, found, stamps)

    async def _from_delete_log(self, mirrored: MirroredObject) -> Differences:
        """Rows of the mirror that the org's delete log names."""
        since = mirrored.proven_at - OVERLAP_MS
        logged = await deletions.read(
            self._engine, mirrored, since, self._engine.salesforce_now(), purpose=PURPOSE
        )
        ids = [one for one, _ in logged.records] if logged else []
        own = await mirror.stamps_of(self._engine.database, mirrored.described, ids)
        return Differences(orphaned=set(own))

    async def _differing_hours(self, mirrored: MirroredObject, day: str) -> list[_Stretch]:
        """The hours of a day whose counts differ."""
        start = from_iso(f"{day}T00:00:00.000Z")
        own = await mirror.stamps(
            self._engine.database, mirrored.described, to_iso(start), to_iso(start + DAY_MS)
        )
        hours: dict[str, int] = {}
        for stamp in own.values():
            hours[stamp[:13]] = hours.get(stamp[:13], 0) + 1
        begins = [
            from_iso(f"{hour}:00:00.000Z")
            for hour in differing(await self._org_hours(mirrored, start), hours)
        ]
        return [_Stretch(to_iso(begin), to_iso(begin + HOUR_MS)) for begin in begins]

    async def _org_hours(self, mirrored: MirroredObject, start: Millis) -> dict[str, int]:
        cursor = mirrored.described.schema.cursor or ""
        where = soql.all_of(
            f"{cursor} >= {soql.moment(start)}",
            f"{cursor} < {soql.moment(start + DAY_MS)}",
            mirrored.config.where,
        )
        statement = (
            f"SELECT HOUR_IN_DAY({cursor}) h, COUNT(Id) n FROM {mirrored.name}"  # noqa: S608
            f" WHERE {where} GROUP BY HOUR_IN_DAY({cursor})"
        )
        page = await self._engine.client.query(statement, purpose=PURPOSE)
        day = to_iso(start)[:10]
        return {f"{day}T{int(row['h']):02d}": int(row["n"]) for row in page.records}

    async def _finish(self, mirrored: MirroredObject, result: Fingerprint) -> None:
        """Write down what was found; with nothing wrong, this is the new proof."""
        found, engine = result.found, self._engine
        vanished = await self._vanished(mirrored, found)
        mirrored.drift = (len(found.missing), len(found.stale), len(found.orphaned))
        mirrored.held_back = 0
        async with engine.unit_of_work() as unit:
            await engine.catalog.update(
                unit.tx, mirrored, checked_at=to_iso(engine.now()), expected_rows=result.checked
            )
            if found:
                await unit.fetch(mirrored, sorted(found.ids - vanished), "the fingerprint differs")
                message = "fingerprint: {} missing, {} stale, {} orphaned".format(*mirrored.drift)
                detail = {
                    "missing": sorted(found.missing)[:MOST_NAMED],
                    "stale": sorted(found.stale)[:MOST_NAMED],
                    "orphaned": sorted(found.orphaned)[:MOST_NAMED],
                }
                kind = "audit" if _may_be_held_back(mirrored, found) else "drift"
                await unit.note(Note(kind, mirrored.name, message=message, detail=detail))
            if result.unsettled:
                await unit.fetch(mirrored, sorted(result.unsettled - found.ids), UNSETTLED)
            if not found and not result.unsettled:
                await engine.catalog.update(unit.tx, mirrored, proven_at=result.before)
                mirrored.unexplained = 0
        if vanished:
            await guard_deletions(engine, mirrored, len(vanished), result.checked + len(vanished))
        log.info("fingerprint", object=mirrored.name, checked=result.checked, drift=mirrored.drift)

    async def tell_apart(self, mirrored: MirroredObject, result: Fingerprint, seq: int) -> None:
        """After the repair: rows that changed only in fields that no condition watches are no drift.

        `seq` is the journal's newest entry before the repair.
        """
        if not mirrored.conditions or not result.found.stale:
            return
        entries = await journal.after(
            self._engine.database, seq, object_name=mirrored.name, limit=MOST_LOOKED_AT
        )
        held_back = {
            entry.note.id
            for entry in entries
            if entry.note.source == Source.REPAIR
            and entry.note.outcome == Outcome.APPLIED
            and not is_watched(entry.note.op or "", entry.note.changed, mirrored.conditions)
        }
        found, mirrored.held_back = result.found, len(held_back & result.found.stale)
        stale = len(found.stale) - mirrored.held_back
        mirrored.drift = (len(found.missing), stale, len(found.orphaned))
        if stale and _may_be_held_back(mirrored, found):
            message = (
                f"fingerprint: {stale} stale; {mirrored.held_back} more changed in unwatched fields only"
            )
            detail = {"stale": sorted(found.stale - held_back)[:MOST_NAMED]}
            await self._engine.note(Note("drift", mirrored.name, message=message, detail=detail))

    async def _vanished(self, mirrored: MirroredObject, found: Differences) -> set[str]:
        """Orphans that are too many to be believed, and that no delete log explains; else none."""
        rows = await mirror.count(self._engine.database, mirrored.described)
        if is_plausible(len(found.orphaned), rows):
            return set()
        left = found.orphaned - (await self._from_delete_log(mirrored)).orphaned
        return set() if is_plausible(len(left), rows) else left
