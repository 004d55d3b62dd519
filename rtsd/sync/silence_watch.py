"""Detection of silence: no push from the package for `silence_after`."""

from __future__ import annotations

from collections.abc import Callable

from rtsd.core.instant import MINUTE_MS, Millis
from rtsd.core.mode import Mode, Signal
from rtsd.core.silence import Quiet
from rtsd.services import Service
from rtsd.sync.interval_sync import IntervalSync
from rtsd.sync.missed_pushes import MissedPushes, PushActivity
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageWatch
from rtsd.sync.schedule import CurrentSchedule

SHORTEST_PAUSE_MS: Millis = 10
LONGEST_PAUSE_MS: Millis = 1_000
"""Short, as a reload may shorten `silence_after`, and the monotonic clock stops while the machine sleeps."""


PROOF_PAUSE_S = 60.0
"""Seconds until the next read, if pushes for the changes found may still arrive."""


def _told(duration: Millis) -> str:
    """Return a duration as an operator would write it: `30m`, `90s`, `1.5s`."""
    return f"{duration // MINUTE_MS}m" if duration % MINUTE_MS == 0 else f"{duration / 1_000:g}s"


class SilenceWatch(Service):
    """Signals silence to the mode machine.

    Without any sign of the package that is at once. If heartbeats arrive, the org may be idle: every object
    is read once, and it is silence if there were changes that no push delivered.
    """

    name = "silence"

    def __init__(
        self,
        push: PushActivity,
        mode: ModeMachine,
        schedule: CurrentSchedule,
        package: PackageWatch | None,
        *,
        interval_sync: IntervalSync,
        missed_pushes: MissedPushes,
        monotonic: Callable[[], Millis],
    ) -> None:
        super().__init__()
        self._push = push
        self._mode = mode
        self._schedule = schedule
        self._package = package
        self._interval_sync = interval_sync
        self._missed_pushes = missed_pushes
        self._monotonic = monotonic

    async def step(self) -> float:
        """Signal silence, or find out whether it is one, if `silence_after` has passed."""
        left = self._push.active_at + self._schedule().silence_after - self._monotonic()
        if left > 0:
            return min(max(left, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS) / 1000
        if self._mode.mode is Mode.REAL_TIME:
            self._push.quiet = Quiet.UNKNOWN
            if self._beats():
                self._push.quiet_proof = "heartbeats, but no push: every object is being read"
                return await self._prove()
            self._push.quiet_proof = "no push or heartbeat: every object is being read"
            await self._signal(f"no push for {_told(self._schedule().silence_after)}")
        return LONGEST_PAUSE_MS / 1000

    def _beats(self) -> bool:
        """Whether a heartbeat arrived within `silence_after`."""
        beat_at = self._push.beat_at
        return beat_at is not None and beat_at + self._schedule().silence_after > self._monotonic()

    async def _prove(self) -> float:
        """Read every object once; then signal silence, or measure it from now on."""
        push, since = self._push, self._push.active_at
        is_complete = await self._interval_sync.read()
        if push.active_at != since:
            return 0.0  # a push arrived meanwhile
        if is_complete:
            await self._missed_pushes.judge()
        else:
            push.quiet_proof = "heartbeats, but no push, and not every object could be read"
        if push.quiet is Quiet.SILENT:
            await self._signal(push.quiet_proof or "")
        elif is_complete and push.quiet is Quiet.UNKNOWN:
            return PROOF_PAUSE_S
        else:
            push.active_at = self._monotonic()
        return LONGEST_PAUSE_MS / 1000

    async def _signal(self, reason: str) -> None:
        await self._mode.observe(Signal.SILENCE, reason)
        if self._package is not None:
            self._package.request_probe()
