"""Evidence that pushes arrive: recorded when one is committed, evaluated after the gateway has answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from rtsd.core.instant import Millis
from rtsd.core.mode import Mode, Signal
from rtsd.core.payload import Heartbeat, Push
from rtsd.core.server_clock import ServerClock
from rtsd.core.silence import Quiet
from rtsd.errors import MalformedPush
from rtsd.services import UNTIL_WOKEN, Service
from rtsd.store.pushes import Entry
from rtsd.sync.missed_pushes import PushActivity
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageWatch
from rtsd.sync.relay_watch import RelayWatch
from rtsd.sync.schedule import CurrentSchedule


class PushEvidence(Service):
    """Signals pushes to the mode machine, without delaying the gateway."""

    name = "evidence"

    def __init__(
        self,
        push: PushActivity,
        mode: ModeMachine,
        package: PackageWatch | None,
        relay: RelayWatch | None,
        *,
        schedule: CurrentSchedule,
        server_clock: ServerClock,
        monotonic: Callable[[], Millis],
    ) -> None:
        super().__init__()
        self._push = push
        self._mode = mode
        self._package = package
        self._relay = relay
        self._schedule = schedule
        self._server_clock = server_clock
        self._monotonic = monotonic
        self._pending: deque[Callable[[], Awaitable[None]]] = deque()
        """What is not signalled yet, in order: the last sign decides."""

    def add(self, push: Push, at: Millis, made_at: Millis) -> None:
        """Record a valid push that is in the inbox: when it came, and was signed or committed in the org.

        One that a bus kept for longer than `silence_after` proves nothing about now.
        """
        if made_at < self._server_clock.now() - self._schedule().silence_after:
            self._push.record_old(push, at)
            return
        self._push.record(push, at, self._monotonic())
        self._add(partial(self._judge, push, at))

    def add_foreign(self, entry: Entry) -> None:
        """Record a push that another node took. A gateway's is at most minutes older than its arrival."""
        with suppress(MalformedPush):  # it becomes a dead letter
            self.add(entry.push.read(), entry.received_at, entry.received_at)

    def beat(self) -> None:
        """Record a response of the bus that brings change events."""
        self._push.beat(self._monotonic())
        self._add(self._judge_response)

    def lost(self, reason: str) -> None:
        """Record that the bus brings nothing until further notice."""
        self._add(partial(self._mode.observe, Signal.SILENCE, reason))

    def _add(self, signal: Callable[[], Awaitable[None]]) -> None:
        self._pending.append(signal)
        self.wake.set()

    async def step(self) -> float:
        """Signal what was recorded since the last step."""
        while self._pending:
            signal = self._pending.popleft()
            try:
                await signal()
            except BaseException:  # such as a full disk, which cannot journal a transition: try it again
                self._pending.appendleft(signal)
                raise
        return UNTIL_WOKEN

    async def _judge_response(self) -> None:
        if self._push.quiet is not Quiet.SILENT:
            await self._mode.observe(Signal.PUSH, "the stream of change events responds")

    async def _judge(self, push: Push, at: Millis) -> None:
        """Signal a push. A heartbeat is no evidence while changes are known that no push delivered or can."""
        disabled = isinstance(push, Heartbeat) and push.settings.get("disabled") is True
        if self._package is not None:
            self._package.observe(push, at)
            if self._mode.mode is Mode.DISABLED and not isinstance(push, Heartbeat):
                self._package.request_probe()  # sent before it was disabled, or is it enabled again?
        if self._relay is not None:
            await self._relay.observe(push, at)
        broken = self._relay is not None and self._relay.failure is not None
        if disabled:
            await self._mode.observe(Signal.PACKAGE_DISABLED)
        elif isinstance(push, Heartbeat) and broken:
            await self._mode.observe(Signal.PACKAGE_ENABLED)
        elif not isinstance(push, Heartbeat) or self._push.quiet is not Quiet.SILENT:
            await self._mode.observe(Signal.PUSH)
