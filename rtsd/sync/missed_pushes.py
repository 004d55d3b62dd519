"""Missed pushes: changes found by other sources that a push should have delivered."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from rtsd.core.instant import DAY_MS, Millis, from_iso, to_iso
from rtsd.core.payload import Heartbeat, Push
from rtsd.core.server_clock import ServerClock
from rtsd.core.silence import GRACE_MS, Cause, Quiet, Unpushed, is_watched, judge
from rtsd.store import journal, meta
from rtsd.store.database import Database, Tx
from rtsd.store.journal import Note, UnpushedChange
from rtsd.sync.catalog import Catalog
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.unit_of_work import UnitsOfWork

_KEY = "pushes_expected_since"
_LAST_PUSH_KEY = "last_push_at"
NOTHING_EXPECTED = "no push is expected: no package is enabled"

RECOUNTED, RECOUNT_MS = 20_000, 10_000
"""Missed changes up to which they are counted again, and how often: a push that comes late confirms some."""

log = structlog.get_logger("rtsd.missed_pushes")


@dataclass(slots=True)
class PushActivity:
    """The observed activity of the push channel. Times are local, in ms."""

    last_at: Millis | None = None
    """The last push that was not a heartbeat, in this run or an earlier one."""
    last_heartbeat_at: Millis | None = None
    active_at: Millis = 0
    """Monotonic ms of the last such push or proof, or of the start. Silence is measured from here."""
    beat_at: Millis | None = None
    """Monotonic ms of the last heartbeat, or response of a bus of change events: it proves that the package
    or the stream works, not that changes arrive."""
    quiet: Quiet = Quiet.UNKNOWN
    quiet_proof: str | None = None
    broken: str | None = None
    """Why no push can arrive, if that is known: the relay in the org does not pass changes on."""

    def record(self, push: Push, at: Millis, monotonic: Millis) -> None:
        """Record a valid push."""
        self.record_old(push, at)
        if isinstance(push, Heartbeat):
            self.beat_at = monotonic
            return
        self.active_at = monotonic
        self.quiet, self.quiet_proof = Quiet.LIVE, f"push at {to_iso(at)}"

    def record_old(self, push: Push, at: Millis) -> None:
        """Record a valid push that was made long before it came: it ends no silence."""
        if isinstance(push, Heartbeat):
            self.last_heartbeat_at = at
        else:
            self.last_at = at

    def beat(self, monotonic: Millis) -> None:
        """Record a sign of life of what brings the pushes, such as a response of the event bus."""
        self.beat_at = monotonic


async def store_last_push(tx: Tx, push: PushActivity) -> None:
    """Store the time of the last push, in the transaction that applies some."""
    if push.last_at is not None:
        await meta.put(tx, _LAST_PUSH_KEY, str(push.last_at))


class MissedPushes:
    """Scans the journal for changes that Interval Sync, fingerprints and repairs found but no push delivered.

    They count as missed if they were made while the package was installed and enabled, and no sync condition
    filtered them.
    """

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        push: PushActivity,
        schedule: CurrentSchedule,
        uncovered: Callable[[], Collection[str]],
        by_events: bool,
    ) -> None:
        """`by_events`: pushes are change events, which some fields are never part of."""
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._schedule = schedule
        self._push = push
        self._by_events = by_events
        self._uncovered = uncovered
        """Returns the names of objects without a trigger, whose changes are never pushed."""
        self._unpushed = Unpushed()
        """Changes found since the last push."""
        self._since: Millis | None = None
        self._expected_since: Millis | None = None
        self._judged_since: Millis = 0
        """Changes made earlier have an explanation, so they prove no further silence."""
        self._seq = 0
        """The newest journal entry that was counted."""
        self._counting = asyncio.Lock()
        self._missed: deque[tuple[Millis, int]] = deque()
        self._recounted_at: Millis = 0

    async def restore(self) -> None:
        """Restore the state of the last run, and recount the last 24 hours."""
        since = await meta.get(self._database, _KEY)
        self._expected_since = from_iso(since) if since else None
        last_push_at = await meta.get(self._database, _LAST_PUSH_KEY)
        self._push.last_at = int(last_push_at) if last_push_at else None
        await self.count()

    async def expect(self, *, pushes: bool) -> None:
        """Store from when on pushes are expected, or that none are: the package is missing or disabled."""
        if pushes == (self._expected_since is not None):
            return
        self._expected_since = self._server_clock.now() if pushes else None
        async with self._database.transaction() as tx:
            await meta.put(tx, _KEY, to_iso(self._expected_since) if self._expected_since else "")

    def missed_24h(self) -> int:
        """Return the number of changes in the last 24 hours that a push should have delivered."""
        while self._missed and self._missed[0][0] < self._now() - DAY_MS:
            self._missed.popleft()
        return sum(count for _, count in self._missed)

    async def judge(self) -> None:
        """Classify the silence after every object was read. Only a push ends it."""
        push = self._push
        if self._expected_since is None:
            push.quiet, push.quiet_proof = Quiet.UNKNOWN, NOTHING_EXPECTED
            return
        before = push.quiet
        push.quiet, push.quiet_proof = judge(self._unpushed, push.last_at, self._now(), push.broken)
        if push.quiet is before:
            return
        detail = {"quiet": push.quiet.value, "missed": self._unpushed.watched}
        await self._work.note(Note("package", message=f"{push.quiet}: {push.quiet_proof}", detail=detail))
        if push.quiet is Quiet.SILENT:
            log.warning("silent", proof=push.quiet_proof)

    async def restart(self) -> None:
        """Judge only changes made from now on: why earlier ones were missed is known, and corrected."""
        await self.count()
        self._unpushed = Unpushed()
        self._judged_since = self._server_clock.now()

    async def count(self) -> None:
        """Count the changes journalled since the last call, which may not have ended yet."""
        async with self._counting:
            await self._count()

    async def _count(self) -> None:
        now = self._now()
        found = await journal.without_push(self._database, self._seq, to_iso(now - DAY_MS))
        seen = await journal.newest_seq(self._database)
        counts: Counter[Cause] = Counter()
        explained, uncovered = 0, self._uncovered()
        for change in found:
            cause = self._cause(change, now, uncovered)
            if cause is Cause.FRESH:
                seen = min(seen, change.seq - 1)
            elif change.seq > seen and cause is not Cause.UNEXPECTED:
                continue  # counted later, together with a fresh change before it
            elif cause is Cause.MISSED and change.made_at + self._offset < self._judged_since:
                explained += 1
                continue
            counts[cause] += 1
        self._seq = max(self._seq, seen)
        watched = counts[Cause.MISSED]
        if watched or explained:
            self._missed.append((now, watched + explained))
        await self._recount(now)
        if self._since != self._push.last_at:
            self._since, self._unpushed = self._push.last_at, Unpushed()
        counted = Unpushed(
            watched, counts[Cause.FILTERED], fresh=counts[Cause.FRESH], beside=counts[Cause.BESIDE]
        )
        self._unpushed = counted.after(self._unpushed)

    async def _recount(self, now: Millis) -> None:
        """Count the missed changes of 24 hours again, as `rtsd missed` lists them, unless they are many."""
        if not 0 < self.missed_24h() <= RECOUNTED or 0 <= now - self._recounted_at < RECOUNT_MS:
            return
        self._recounted_at = now
        found = await self.unpushed(now - DAY_MS, RECOUNTED + 1)
        if len(found) <= RECOUNTED:
            self._missed = deque((change.made_at, 1) for change, cause in found if cause is Cause.MISSED)

    async def unpushed(self, since: Millis, limit: int) -> list[tuple[UnpushedChange, Cause]]:
        """Return the first changes journalled from `since` (ms) that came by no push, and why, oldest first.

        The reasons are those of the present conditions and triggers.
        """
        now, uncovered = self._now(), self._uncovered()
        found = await journal.without_push(self._database, 0, to_iso(since), limit)
        return [(change, self._cause(change, now, uncovered)) for change in found]

    def _cause(self, change: UnpushedChange, now: Millis, uncovered: Collection[str]) -> Cause:
        if self._expected_since is None or change.made_at + self._offset < self._expected_since:
            return Cause.UNEXPECTED
        if now - change.made_at < min(GRACE_MS, self._schedule().silence_after):
            return Cause.FRESH
        if change.beside_push:
            return Cause.BESIDE
        if change.object in uncovered:
            return Cause.UNCOVERED
        return Cause.MISSED if self._is_watched(change) else Cause.FILTERED

    @property
    def _offset(self) -> Millis:
        return self._server_clock.offset

    def _is_watched(self, change: UnpushedChange) -> bool:
        mirrored = self._catalog.find(change.object)
        if mirrored is None or mirrored.table is None:
            return False
        untold = mirrored.table.schema.untold if self._by_events and change.op == "update" else frozenset()
        if untold and untold.issuperset(change.changed or ()):
            return False
        return is_watched(change.op, change.changed, mirrored.conditions)
