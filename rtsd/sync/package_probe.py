"""Probes for the Salesforce package, while no push proves its state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from rtsd.core.instant import Millis
from rtsd.core.mode import Mode, Signal
from rtsd.core.problem import Problem
from rtsd.services import Service
from rtsd.store.journal import Note
from rtsd.sync.conditions import Conditions
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageWatch
from rtsd.sync.package_errors import PackageErrors
from rtsd.sync.relay_watch import RelayWatch
from rtsd.sync.unit_of_work import UnitsOfWork

REAL_TIME_PROBE_S = 10.0
"""Seconds between steps in real-time mode, in which only a requested probe costs a call."""

log = structlog.get_logger("rtsd.package")


class PackageProbe(Service):
    """Probes at growing intervals, and reads the package's sync conditions and its error log."""

    name = "package"

    def __init__(
        self,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        mode: ModeMachine,
        watch: PackageWatch,
        relay: RelayWatch,
        conditions: Conditions,
        errors: PackageErrors,
    ) -> None:
        super().__init__(watch.wake)
        self._work = work
        self._now = now
        self._mode = mode
        self.watch = watch
        self._relay = relay
        self._conditions = conditions
        self._errors = errors
        self._problems: Sequence[Problem] = ()
        """Conflicts with the configuration after the last probe."""

    @property
    def retry_s(self) -> float:
        """Retry a refused probe no sooner than one that found nothing."""
        return self.watch.pause_s()

    async def step(self) -> float:
        """Probe if that is due or requested, then read what else of the package is due."""
        watch = self.watch
        if self._mode.is_paused:
            return REAL_TIME_PROBE_S
        if self._mode.mode is not Mode.REAL_TIME or watch.is_requested:
            await self.handle(await watch.probe())
        await self._relay.step()
        await self._report_problems()
        await self._conditions.step(watch.known.state)
        await self._errors.step(watch.known)
        if self._mode.mode is Mode.REAL_TIME:
            watch.next_probe_at = None
            return REAL_TIME_PROBE_S
        watch.next_probe_at = self._now() + int(watch.pause_s() * 1000)
        return watch.pause_s()

    async def handle(self, signal: Signal) -> None:
        """Pass a probe's signal to the mode machine, and journal each conflict found once."""
        await self._mode.observe(signal)
        await self._report_problems()

    async def _report_problems(self) -> None:
        problems = self.watch.problems()
        for problem in problems:
            if problem not in self._problems:
                log.warning("package", problem=problem.what)
                await self._work.note(Note("package", message=f"{problem.what} {problem.do}"))
        self._problems = problems
