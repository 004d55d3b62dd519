"""Interval Sync of all objects: reads windows while the mode requires it, and to catch up afterwards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from rtsd.core.instant import Millis
from rtsd.core.mode import READS_BY_INTERVAL, Mode
from rtsd.core.object_state import ObjectState
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.services import Service
from rtsd.sync import object_states
from rtsd.sync.catalog import Catalog
from rtsd.sync.continuity import Continuity
from rtsd.sync.describe import Describer
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.missed_pushes import MissedPushes
from rtsd.sync.mode import ModeMachine
from rtsd.sync.relay_watch import RelayWatch
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.unit_of_work import UnitsOfWork
from rtsd.sync.windows import Windows


class IntervalSync(Service):
    """Reads one window of each object per step, then classifies the silence by the changes found."""

    name = "interval"

    def __init__(
        self,
        catalog: Catalog,
        work: UnitsOfWork,
        mode: ModeMachine,
        schedule: CurrentSchedule,
        *,
        now: Callable[[], Millis],
        windows: Windows,
        describer: Describer,
        missed_pushes: MissedPushes,
        continuity: Continuity,
        uncovered: Callable[[], Collection[str]],
        relay: RelayWatch | None,
    ) -> None:
        """`uncovered` returns the names of the objects whose changes nothing pushes."""
        super().__init__(continuity.changed)
        self._catalog = catalog
        self._work = work
        self._mode = mode
        self._schedule = schedule
        self._now = now
        self._windows = windows
        self._describer = describer
        self._missed_pushes = missed_pushes
        self._continuity = continuity
        self._uncovered = uncovered
        self._relay = relay
        self._must_catch_up = True
        """True if windows are due whatever the mode: after a start, and when pushes resume."""
        self._behind: set[str] = set()
        """Names of objects of which alone a window is due."""
        mode.subscribe(self._on_transition)

    def _on_transition(self, before: Mode, after: Mode) -> None:
        """Catch up when pushes resume: changes made before may not have been pushed."""
        self._must_catch_up |= after is Mode.REAL_TIME and before in READS_BY_INTERVAL
        self.wake.set()

    async def catch_up(self, why: str) -> None:
        """Read a window of every object now, whatever the mode, or after a restart. Raises StoreError."""
        self._must_catch_up = True
        self.wake.set()
        await self._continuity.lost(why)

    async def catch_up_object(self, name: str, why: str) -> None:
        """Read a window of an object now, whatever the mode, or after a restart. Raises StoreError."""
        self._behind.add(name)
        self.wake.set()
        await self._continuity.lost(why)

    async def step(self) -> float:
        """Read the windows that the mode requires, or that are due to catch up."""
        if self._continuity.is_resuming and await self._resumes():
            return min(self._schedule().interval, max(self._continuity.left(), 0)) / 1000
        mode = self._mode.mode
        if mode in READS_BY_INTERVAL or (
            (self._must_catch_up or self._is_broken) and mode is not Mode.PAUSED
        ):
            self._must_catch_up = False
            self._behind.clear()
            try:
                is_complete = await self.read()
            except BaseException:
                self._must_catch_up = True
                raise
            if is_complete and mode is self._mode.mode is Mode.INTERVAL:
                await self._missed_pushes.judge()
        elif mode is Mode.REAL_TIME:
            await self._read_uncovered()
        return self._schedule().interval / 1000

    @property
    def _is_broken(self) -> bool:
        """Whether the relay is known not to pass changes on."""
        return self._relay is not None and self._relay.failure is not None

    async def _resumes(self) -> bool:
        """Whether the subscription still has to show if windows are due; read only what it never brings."""
        continuity = self._continuity
        if self._is_broken:
            await continuity.lost("the relay does not pass changes on")
        elif continuity.is_caught_up and self._mode.mode is Mode.REAL_TIME:
            self._must_catch_up = False
            await continuity.resumed()
        elif continuity.left() <= 0:
            await continuity.lost("the stream has brought no proof in time that nothing is missing")
        else:
            await self._read_uncovered()
            return continuity.is_resuming
        return False

    async def read(self) -> bool:
        """Read one window of every object, and count missed pushes; return whether all could be read."""
        losses, is_pushed = self._continuity.losses, self._mode.mode is Mode.REAL_TIME
        is_complete = await self._read_windows(self._catalog)
        if is_complete and is_pushed and not self._is_broken:
            self._continuity.regained(losses)
        await self._missed_pushes.count()
        return is_complete

    async def _read_uncovered(self) -> None:
        """Read the objects whose changes nothing pushes, and those that are behind."""
        behind, self._behind = self._behind, set()
        due = {*self._uncovered(), *behind}
        try:
            await self._read_windows(mirrored for mirrored in self._catalog if mirrored.name in due)
        except BaseException:
            self._behind |= behind
            raise
        await self._missed_pushes.count()

    async def _read_windows(self, objects: Iterable[MirroredObject]) -> bool:
        """Read one window of each object; return whether all could be read.

        Raises QuotaExhausted if one lacks quota, after reading the others.
        """
        is_complete = True
        refused: QuotaExhausted | None = None
        for mirrored in objects:
            unreadable = not mirrored.loaded or mirrored.state in (ObjectState.PAUSED, ObjectState.ERROR)
            if unreadable or self._now() < mirrored.retry.windows.not_before:
                is_complete = False
                continue
            try:
                is_complete &= await self._read_window(mirrored)
            except QuotaExhausted as error:
                refused = error
        if refused is not None:
            raise refused
        return is_complete

    async def _read_window(self, mirrored: MirroredObject) -> bool:
        """Read one window of one object; return whether it could be read."""
        try:
            await self._windows.step(mirrored)
        except QuotaExhausted as error:
            await object_states.defer(self._work, mirrored, error)
            raise
        except (OrgUnreachable, AuthenticationFailed):
            raise
        except SalesforceError as error:
            await object_states.doubt(self._work, mirrored, f"a window could not be read: {error}")
            await self._describer.report_failure(mirrored, error)
            mirrored.retry.windows.failed(self._now())
            return False
        mirrored.retry.windows.succeeded()
        await object_states.caught_up(self._work, mirrored)
        return True
