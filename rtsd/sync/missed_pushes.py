"""Evidence on the push channel: which changes were found that a push should have brought."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from rtsd.core.instant import DAY_MS, Millis, from_iso, to_iso
from rtsd.core.payload import Heartbeat, Push
from rtsd.core.server_clock import ServerClock
from rtsd.core.silence import GRACE_MS, Quiet, Unpushed, is_watched, judge
from rtsd.store import journal, meta
from rtsd.store.database import Database
from rtsd.store.journal import Note, UnpushedChange
from rtsd.sync.catalog import Catalog
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.unit_of_work import UnitsOfWork

_KEY = "pushes_expected_since"

log = structlog.get_logger("rtsd.missed_pushes")


@dataclass(slots=True)
class PushSeen:
    """What is known of the push channel."""

    last_at: Millis | None = None
    last_heartbeat_at: Millis | None = None
    heard: Millis = 0
    """Monotonic ms of the last sign of life, or of the start: silence is measured from here."""
    rejected: int = 0
    quiet: Quiet = Quiet.UNKNOWN
    quiet_proof: str | None = None

    def saw(self, push: Push, at: Millis, monotonic: Millis) -> None:
        """A valid push is evidence: the channel works. A heartbeat is one too."""
        self.last_at, self.heard = at, monotonic
        sign = "push"
        if isinstance(push, Heartbeat):
            self.last_heartbeat_at, sign = at, "heartbeat"
        self.quiet, self.quiet_proof = Quiet.LIVE, f"{sign} at {to_iso(at)}"


class MissedPushes:
    """Goes through the journal for what Interval Sync, fingerprints and repairs found, and no push brought.

    That counts as missed where it was made while the package was installed and enabled, and is not held
    back by a sync condition.
    """

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        push: PushSeen,
        schedule: CurrentSchedule,
        uncovered: Callable[[], Collection[str]],
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._schedule = schedule
        self._push = push
        self._uncovered = uncovered
        """Names the objects without a trigger: no push was to bring their changes."""
        self._unpushed = Unpushed()
        """What was found since the last sign of life."""
        self._since: Millis | None = None
        self._expected_since: Millis | None = None
        self._seq = 0
        self._missed: deque[tuple[Millis, int]] = deque()

    async def restore(self) -> None:
        """Restore what an earlier run knew, and count the last 24 hours again."""
        since = await meta.get(self._database, _KEY)
        self._expected_since = from_iso(since) if since else None
        await self.count()

    async def expect(self, *, pushes: bool) -> None:
        """Remember since when the package is installed and enabled; or that it is not."""
        if pushes == (self._expected_since is not None):
            return
        self._expected_since = self._server_clock.now() if pushes else None
        async with self._database.transaction() as tx:
            await meta.put(tx, _KEY, to_iso(self._expected_since) if self._expected_since else "")

    def missed_24h(self) -> int:
        """How many changes of the last 24 hours a push should have brought."""
        while self._missed and self._missed[0][0] < self._now() - DAY_MS:
            self._missed.popleft()
        return sum(count for _, count in self._missed)

    async def judge(self) -> None:
        """Say what the quiet is, now that every object was read. Only a sign of life ends silence."""
        push = self._push
        if self._expected_since is None:
            push.quiet, push.quiet_proof = Quiet.UNKNOWN, "no push is expected: no package is switched on"
            return
        before = push.quiet
        push.quiet, push.quiet_proof = judge(self._unpushed, push.last_at, self._now())
        if push.quiet is before:
            return
        detail = {"quiet": push.quiet.value, "missed": self._unpushed.watched}
        await self._work.note(Note("package", message=f"{push.quiet}: {push.quiet_proof}", detail=detail))
        if push.quiet is Quiet.SILENT:
            log.warning("silent", proof=push.quiet_proof)

    async def count(self) -> None:
        """Count what was found since the last time."""
        now = self._now()
        grace = min(GRACE_MS, self._schedule().silence_after)
        found = await journal.without_push(self._database, self._seq, to_iso(now - DAY_MS))
        seen = await journal.newest_seq(self._database)
        watched = unwatched = fresh = beside = 0
        uncovered = self._uncovered()
        for one in found:
            made = one.made_at
            if self._expected_since is None or made + self._offset < self._expected_since:
                continue
            if now - made < grace:
                fresh += 1
                seen = min(seen, one.seq - 1)
            elif one.seq > seen:  # it is counted later, together with a fresh one before it
                continue
            elif one.beside_push:
                beside += 1
            elif one.object in uncovered:
                continue
            elif self._is_watched(one):
                watched += 1
            else:
                unwatched += 1
        self._seq = max(self._seq, seen)
        if watched:
            self._missed.append((now, watched))
        if self._since != self._push.last_at:
            self._since, self._unpushed = self._push.last_at, Unpushed()
        self._unpushed = Unpushed(watched, unwatched, fresh, beside).after(self._unpushed)

    @property
    def _offset(self) -> Millis:
        return self._server_clock.offset

    def _is_watched(self, one: UnpushedChange) -> bool:
        mirrored = self._catalog.find(one.object)
        return mirrored is not None and is_watched(one.op, one.changed, mirrored.conditions)
