"""The fingerprint, a cheap audit: compares counts by day in org and mirror, and reads only where they differ.

It costs one call per object if nothing has changed since the last proof. Otherwise rows edited since then are
compared by id and stamp (2,000 per call), the delete log accounts for missing rows, and days that still
differ are compared by hour, then by id. Only records that differ are fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from rtsd.core.change import Outcome, Source
from rtsd.core.cost import Cost
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.fingerprint import Differences
from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.core.server_clock import ServerClock
from rtsd.core.silence import is_watched
from rtsd.salesforce.client import Client
from rtsd.store import fetches, journal, mirror
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync import object_states
from rtsd.sync.comparison import (
    OVERLAP_MS,
    PURPOSE,
    Comparison,
    StampRange,
    logged_deletions,
    org_stamps,
)
from rtsd.sync.fingerprint_cost import fingerprint_cost
from rtsd.sync.histogram import Counts, OrgHistogram
from rtsd.sync.mirrored_object import Drift, MirroredObject
from rtsd.sync.unit_of_work import UnitsOfWork

MAX_LISTED = 1_000
"""Ids listed in one journal entry."""
MAX_ENTRIES = 100_000
"""Journal entries of a repair that are read to separate drift from changes in unwatched fields."""
UNSETTLED = "it was read within the second of its stamp, and may have changed again in that second"

log = structlog.get_logger("rtsd.fingerprint")


@dataclass(slots=True)
class Fingerprint:
    """The result of one check."""

    before: str
    """The time of the check (ISO, UTC), on Salesforce's clock."""
    checked: int = 0
    """Rows counted in the org."""
    found: Differences = field(default_factory=Differences)
    unsettled: set[str] = field(default_factory=set)
    """Rows read within the second of their stamp, which would hide another edit: they are fetched too."""


def _may_be_held_back(mirrored: MirroredObject, found: Differences) -> bool:
    """Return whether sync conditions may explain all differences; only the rows' values can confirm it."""
    return bool(mirrored.conditions) and not found.missing and not found.orphaned


class Fingerprinter:
    """Compares one object at a time, and requests the records that differ."""

    def __init__(
        self,
        client: Client,
        database: Database,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._database = database
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._sleep = sleep

    async def step(self, mirrored: MirroredObject) -> Fingerprint:
        """Check one object, and request the records that differ.

        Raises the client's errors, in which case nothing is proven.
        """
        counts = await self._count(mirrored, PURPOSE)
        comparison = Comparison(self._client, self._database, mirrored, counts.before)
        days = left = counts.differing
        if counts.reach_past_proof:
            await comparison.compare(StampRange(counts.since))
            left = await comparison.unexplained(days)
        if left:
            comparison.found |= await self._logged(mirrored)
            left = await comparison.unexplained(days)
        for span in await comparison.ranges(left, counts.org.rows, counts.own):
            await comparison.compare(span)
        found = comparison.found
        found.orphaned -= found.stale  # an edit moved its stamp out of a range that was read
        await comparison.discard_arrivals(counts.now, self._sleep)
        result = Fingerprint(
            to_iso(counts.now),
            checked=sum(counts.org.rows.values()),
            found=found,
            unsettled=await mirror.unsettled(self._database, mirrored.described, counts.since),
        )
        await self._finish(mirrored, result)
        return result

    async def price(self, mirrored: MirroredObject) -> Cost:
        """Count as `step` does, and return what a check with its repairs would cost from there.

        Raises the client's errors.
        """
        return await fingerprint_cost(self._database, mirrored, await self._count(mirrored, "estimate"))

    async def _count(self, mirrored: MirroredObject, purpose: str) -> Counts:
        """Count the rows by day on both sides."""
        await self._client.log_in()
        now = self._server_clock.now()
        before = to_iso(now // 1000 * 1000 + 1000)
        since = to_iso(max(mirrored.stored.proven_at - OVERLAP_MS, 0))
        org = await OrgHistogram(self._client, self._database, mirrored, purpose).by_day(before)
        own = await mirror.histogram(self._database, mirrored.described, before)
        return Counts(now, since, before, org, own)

    async def stamped(self, mirrored: MirroredObject, since: str, before: str) -> set[str]:
        """Return the ids of records with a stamp from `since` to `before` (ISO, exclusive) on either side."""
        client, database = self._client, self._database
        org = await org_stamps(client, database, mirrored, StampRange(since, before))
        own = await mirror.stamps(database, mirrored.described, since, before)
        return org.keys() | own.keys()

    async def prove(self, mirrored: MirroredObject, result: Fingerprint) -> None:
        """Make a check the new proof if no record of the object is left to fetch."""
        async with self._work.begin() as unit:
            if not await fetches.any_for(unit.tx, mirrored.name):
                proven_at = from_iso(result.before)
                await unit.store(mirrored, replace(unit.stored(mirrored), proven_at=proven_at))
                unit.on_commit(mirrored.suspicions.repaired)

    async def _logged(self, mirrored: MirroredObject) -> Differences:
        return await logged_deletions(self._client, self._database, mirrored, self._server_clock.now())

    async def _finish(self, mirrored: MirroredObject, result: Fingerprint) -> None:
        """Store the result, as the new proof if nothing differs."""
        found = result.found
        vanished = await self._vanished(mirrored, found)
        drift = Drift(len(found.missing), len(found.stale), len(found.orphaned))
        async with self._work.begin() as unit:
            is_partial = await fetches.any_for(unit.tx, mirrored.name)  # such a row proves nothing
            proven = not found and not result.unsettled and not is_partial
            stored = unit.stored(mirrored)
            proven_at = from_iso(result.before) if proven else stored.proven_at
            checked_at, rows = to_iso(self._now()), result.checked
            await unit.store(
                mirrored, replace(stored, checked_at=checked_at, expected_rows=rows, proven_at=proven_at)
            )
            unit.on_commit(partial(mirrored.suspicions.checked, drift, proven=proven))
            if found:
                await unit.fetch(mirrored, sorted(found.ids - vanished), "the fingerprint differs")
                message = (
                    f"fingerprint: {drift.missing} missing, {drift.stale} stale, {drift.orphaned} orphaned"
                )
                detail = {
                    "missing": sorted(found.missing)[:MAX_LISTED],
                    "stale": sorted(found.stale)[:MAX_LISTED],
                    "orphaned": sorted(found.orphaned)[:MAX_LISTED],
                }
                kind = "audit" if _may_be_held_back(mirrored, found) else "drift"
                await unit.note(Note(kind, mirrored.name, message=message, detail=detail))
            if result.unsettled:
                await unit.fetch(mirrored, sorted(result.unsettled - found.ids), UNSETTLED)
        if vanished:
            rows = result.checked + len(vanished)
            await object_states.guard_deletions(self._work, mirrored, len(vanished), rows)
        log.info("fingerprint", object=mirrored.name, checked=result.checked, drift=drift)

    async def classify_drift(self, mirrored: MirroredObject, result: Fingerprint, seq: int) -> None:
        """After the repair, exclude rows from the drift that differed only in unwatched fields.

        `seq` is the newest journal entry before the repair.
        """
        if not mirrored.conditions or not result.found.stale:
            return
        entries = await journal.after(self._database, seq, object_name=mirrored.name, limit=MAX_ENTRIES)
        held_back = {
            entry.note.id
            for entry in entries
            if entry.note.source == Source.REPAIR
            and entry.note.outcome == Outcome.APPLIED
            and not is_watched(entry.note.op or "", entry.note.changed, mirrored.conditions)
        }
        found, unwatched = result.found, len(held_back & result.found.stale)
        stale = len(found.stale) - unwatched
        repaired = mirrored.suspicions.drift is not None and mirrored.suspicions.drift.repaired
        mirrored.suspicions.drift = Drift(
            len(found.missing), stale, len(found.orphaned), unwatched, repaired=repaired
        )
        if stale and _may_be_held_back(mirrored, found):
            message = f"fingerprint: {stale} stale; {unwatched} more changed only in unwatched fields"
            detail = {"stale": sorted(found.stale - held_back)[:MAX_LISTED]}
            await self._work.note(Note("drift", mirrored.name, message=message, detail=detail))
        elif unwatched:
            message = (
                f"fingerprint: {unwatched} of {len(found.stale)} stale changed only in unwatched fields:"
                " repaired, and no drift"
            )
            await self._work.note(Note("audit", mirrored.name, message=message))

    async def _vanished(self, mirrored: MirroredObject, found: Differences) -> set[str]:
        """Return the orphans that the delete log does not explain, if they are too many to be deletions."""
        rows = await mirror.count(self._database, mirrored.described)
        if is_plausible(len(found.orphaned), rows):
            return set()
        left = found.orphaned - (await self._logged(mirrored)).orphaned
        return set() if is_plausible(len(left), rows) else left
