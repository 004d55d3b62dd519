"""Detection of silence: no push or heartbeat from the package for `silence_after`."""

from __future__ import annotations

from collections.abc import Callable

from rtsd.core.instant import Millis
from rtsd.core.mode import Mode, Signal
from rtsd.core.silence import Quiet
from rtsd.services import Service
from rtsd.sync.missed_pushes import PushActivity
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageWatch
from rtsd.sync.schedule import CurrentSchedule

SHORTEST_PAUSE_MS: Millis = 10
LONGEST_PAUSE_MS: Millis = 1_000
"""Short, as a reload may shorten `silence_after`, and the monotonic clock stops while the machine sleeps."""


class SilenceWatch(Service):
    """Signals silence to the mode machine, and requests a probe of the package."""

    name = "silence"

    def __init__(
        self,
        push: PushActivity,
        mode: ModeMachine,
        schedule: CurrentSchedule,
        package: PackageWatch | None,
        monotonic: Callable[[], Millis],
    ) -> None:
        super().__init__()
        self._push = push
        self._mode = mode
        self._schedule = schedule
        self._package = package
        self._monotonic = monotonic

    async def step(self) -> float:
        """Signal silence if `silence_after` has passed."""
        left = self._push.active_at + self._schedule().silence_after - self._monotonic()
        if left > 0:
            return min(max(left, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS) / 1000
        if self._mode.mode is Mode.REAL_TIME:
            self._push.quiet = Quiet.UNKNOWN
            self._push.quiet_proof = "no push or heartbeat: every object is being read"
            await self._mode.observe(Signal.SILENCE)
            if self._package is not None:
                self._package.request_probe()
        return LONGEST_PAUSE_MS / 1000
