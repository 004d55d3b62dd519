"""Evidence that pushes arrive: noted the moment one was taken, judged after its sender has the answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rtsd.core.instant import Millis
from rtsd.core.mode import Mode, Signal
from rtsd.core.payload import Heartbeat, Push
from rtsd.services import UNTIL_WOKEN, Service
from rtsd.sync.missed_pushes import PushSeen
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageWatch


class PushEvidence(Service):
    """Tells the mode machine of pushes. The gateway hands them over and waits for nothing."""

    name = "evidence"

    def __init__(
        self,
        push: PushSeen,
        mode: ModeMachine,
        package: PackageWatch | None,
        monotonic: Callable[[], Millis],
    ) -> None:
        super().__init__()
        self._push = push
        self._mode = mode
        self._package = package
        self._monotonic = monotonic
        self._taken: deque[tuple[Push, Millis]] = deque()
        """Pushes that the mode machine does not know of yet, with the moments they came."""

    def add(self, push: Push, at: Millis) -> None:
        """Note a valid push that is in the inbox: the channel works."""
        self._push.saw(push, at, self._monotonic())
        self._taken.append((push, at))
        self.wake.set()

    async def step(self) -> float:
        """Judge what came since the last step."""
        while self._taken:
            push, at = self._taken.popleft()
            try:
                await self._judge(push, at)
            except BaseException:  # a full disk keeps a transition out of the journal: it is judged again
                self._taken.appendleft((push, at))
                raise
        return UNTIL_WOKEN

    async def _judge(self, push: Push, at: Millis) -> None:
        disabled = isinstance(push, Heartbeat) and push.settings.get("disabled") is True
        if self._package is not None:
            self._package.heard_from(push, at)
            if self._mode.mode is Mode.DISABLED and not isinstance(push, Heartbeat):
                self._package.probe_soon()  # on its way when it was switched off, or switched on again?
        await self._mode.observe(Signal.PACKAGE_DISABLED if disabled else Signal.PUSH)
