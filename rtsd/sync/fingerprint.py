"""The cheap audit: counts by stamp, org against mirror; only what differs is read more closely.

One call per object when nothing has changed since the last proof. Otherwise the rows edited since then
are compared by id and stamp (2,000 in a call), the delete log explains what is gone, and days that
still differ are read by hour, then by id. Only ids that differ are fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from rtsd.core.change import Outcome, Source
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.fingerprint import Differences, differing
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
    Stretch,
    logged_deletions,
    org_stamps,
)
from rtsd.sync.histogram import OrgHistogram
from rtsd.sync.mirrored_object import Drift, MirroredObject
from rtsd.sync.reading import REST_PAGE
from rtsd.sync.unit_of_work import UnitsOfWork

MOST_NAMED = 1_000
"""Ids in one journal entry."""
MOST_ENTRIES = 100_000
"""Journal entries of a repair that are read to tell drift from unwatched fields."""
UNSETTLED = "it was seen within the second of its stamp, and may have changed again in it"

log = structlog.get_logger("rtsd.fingerprint")


@dataclass(slots=True)
class Fingerprint:
    """The result of one check."""

    before: str
    """The moment of the check, ISO, on Salesforce's clock."""
    checked: int = 0
    """Rows that were counted."""
    found: Differences = field(default_factory=Differences)
    stamps: dict[str, str] = field(default_factory=dict)
    """The newest stamp on either side of each row that differs."""
    theirs: dict[str, str] = field(default_factory=dict)
    """The org's stamps of missing and stale rows."""
    unsettled: set[str] = field(default_factory=set)
    """Rows read within the second of their stamp, in which another edit would not show: fetched, too."""


def _may_be_held_back(mirrored: MirroredObject, found: Differences) -> bool:
    """Whether sync conditions may explain all of it: only the values of the rows will tell."""
    return bool(mirrored.conditions) and not found.missing and not found.orphaned


class Fingerprinter:
    """Compares one object at a time, and has the rows that differ fetched."""

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
        """Check one object, and put the rows that differ on the list of records to fetch.

        Raises what the client raises; then nothing was proven.
        """
        table = mirrored.described
        now = self._server_clock.now()
        before = to_iso(now // 1000 * 1000 + 1000)
        since = await self._since(mirrored)
        org, newest = await OrgHistogram(self._client, self._database, mirrored, PURPOSE).by_day(before)
        own = await mirror.histogram(self._database, table, before)
        comparison = Comparison(self._client, self._database, mirrored)
        days = left = differing(org, own)
        if newest >= since or any(day >= since[:10] for day in days):
            await comparison.compare(Stretch(since))
            left = await comparison.unexplained(days)
        if left:
            comparison.found |= await self._logged(mirrored)
            left = await comparison.unexplained(days)
        for stretch in await comparison.stretches(left, org, own):
            await comparison.compare(stretch)
        found = comparison.found
        found.orphaned -= found.stale  # it moved out of the stretch that was read
        await comparison.let_settle(now, self._sleep)
        result = Fingerprint(
            to_iso(now),
            checked=sum(org.values()),
            found=found,
            stamps=comparison.stamps,
            theirs=comparison.theirs,
            unsettled=await mirror.unsettled(self._database, table, since),
        )
        await self._finish(mirrored, result)
        return result

    async def stamped(self, mirrored: MirroredObject, since: str, before: str) -> set[str]:
        """The ids of the records that either side has stamped from `since` until before `before`."""
        client, database = self._client, self._database
        org = await org_stamps(client, database, mirrored, Stretch(since, before))
        own = await mirror.stamps(database, mirrored.described, since, before)
        return org.keys() | own.keys()

    async def prove(self, mirrored: MirroredObject, result: Fingerprint) -> None:
        """Make a check the new proof, once nothing that it found is left to fetch."""
        async with self._work.begin() as unit:
            if not await fetches.any_for(unit.tx, mirrored.name):
                proven_at = from_iso(result.before)
                await unit.store(mirrored, replace(unit.stored(mirrored), proven_at=proven_at))
                unit.on_commit(mirrored.suspicions.repaired)

    async def contradicted(self, mirrored: MirroredObject, result: Fingerprint) -> int:
        """Count the stale rows that still have, after their repair, a stamp that the org never showed."""
        own = await mirror.stamps_of(self._database, mirrored.described, result.found.stale)
        return sum(
            1
            for record_id, stamp in own.items()
            if result.theirs.get(record_id, stamp) < stamp == result.stamps[record_id]
        )

    async def _since(self, mirrored: MirroredObject) -> str:
        """Where the comparison row by row begins: the last proof, or a little before it if that is cheap."""
        cautious = to_iso(max(mirrored.stored.proven_at - OVERLAP_MS, 0))
        rows = await mirror.count_since(self._database, mirrored.described, cautious)
        return cautious if rows <= REST_PAGE else to_iso(mirrored.stored.proven_at)

    async def _logged(self, mirrored: MirroredObject) -> Differences:
        return await logged_deletions(self._client, self._database, mirrored, self._server_clock.now())

    async def _finish(self, mirrored: MirroredObject, result: Fingerprint) -> None:
        """Store the result; when nothing is wrong, it is the new proof."""
        found = result.found
        vanished = await self._vanished(mirrored, found)
        proven = not found and not result.unsettled
        drift = Drift(len(found.missing), len(found.stale), len(found.orphaned))
        async with self._work.begin() as unit:
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
                    "missing": sorted(found.missing)[:MOST_NAMED],
                    "stale": sorted(found.stale)[:MOST_NAMED],
                    "orphaned": sorted(found.orphaned)[:MOST_NAMED],
                }
                kind = "audit" if _may_be_held_back(mirrored, found) else "drift"
                await unit.note(Note(kind, mirrored.name, message=message, detail=detail))
            if result.unsettled:
                await unit.fetch(mirrored, sorted(result.unsettled - found.ids), UNSETTLED)
        if vanished:
            rows = result.checked + len(vanished)
            await object_states.guard_deletions(self._work, mirrored, len(vanished), rows)
        log.info("fingerprint", object=mirrored.name, checked=result.checked, drift=drift)

    async def tell_apart(self, mirrored: MirroredObject, result: Fingerprint, seq: int) -> None:
        """After the repair, take rows that changed only in unwatched fields out of the drift.

        `seq` is the journal's newest entry before the repair.
        """
        if not mirrored.conditions or not result.found.stale:
            return
        entries = await journal.after(self._database, seq, object_name=mirrored.name, limit=MOST_ENTRIES)
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
            message = f"fingerprint: {stale} stale; {unwatched} more changed in unwatched fields only"
            detail = {"stale": sorted(found.stale - held_back)[:MOST_NAMED]}
            await self._work.note(Note("drift", mirrored.name, message=message, detail=detail))

    async def _vanished(self, mirrored: MirroredObject, found: Differences) -> set[str]:
        """Orphans that are too many to believe and that no delete log explains; otherwise none."""
        rows = await mirror.count(self._database, mirrored.described)
        if is_plausible(len(found.orphaned), rows):
            return set()
        left = found.orphaned - (await self._logged(mirrored)).orphaned
        return set() if is_plausible(len(left), rows) else left
