"""The service that publishes to the configured streams, each by itself: one that hangs delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from rtsd.fanout.outlet import Outlet, Source, Target
from rtsd.services import UNTIL_WOKEN, Service


@dataclass(slots=True)
class _Running:
    """An outlet, and the task that runs it."""

    outlet: Outlet
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends the pause of an idle outlet."""
    task: asyncio.Task[None] | None = None


class Fanout(Service):
    """Runs an outlet for every configured stream."""

    name = "fanout"

    def __init__(self, source: Source, changed: asyncio.Event) -> None:
        super().__init__(changed)
        self.source = source
        self._running: dict[str, _Running] = {}
        self._leaving: list[_Running] = []

    @property
    def outlets(self) -> Sequence[Outlet]:
        """The streams that are published to, in the order of the configuration."""
        return [running.outlet for running in self._running.values()]

    def replace(self, targets: Sequence[Target]) -> None:
        """Replace the streams; those that stay the same go on undisturbed."""
        before: Mapping[str, _Running] = self._running
        self._running = {}
        for target in targets:
            known = before.get(target.name)
            if known is None or known.outlet.target != target:
                known = _Running(Outlet(target, self.source))
            self._running[target.name] = known
        kept = list(self._running.values())
        self._leaving += [running for running in before.values() if running not in kept]
        self.wake.set()

    async def step(self) -> float:
        """Start what does not run, and wake what does. Raises what ended an outlet, to start it again."""
        leaving, self._leaving = self._leaving, []
        for running in leaving:  # first: one of the same name goes on from their position
            await _end(running)
        for running in self._running.values():
            ended = running.task
            if ended is not None and ended.done():
                running.task = None
                ended.result()
            if running.task is None:
                name = f"stream {running.outlet.target.name}"
                running.task = asyncio.create_task(_repeat(running), name=name)
                running.task.add_done_callback(lambda _: self.wake.set())
            running.wake.set()
        return UNTIL_WOKEN

    async def close(self) -> None:
        """Stop all, and store their positions."""
        every = [*self._running.values(), *self._leaving]
        await asyncio.gather(*map(_end, every))


async def _repeat(running: _Running) -> None:
    """Take turns; a change ends the pause of an outlet that is idle, not of one that has failed."""
    while True:
        running.wake.clear()
        pause = await running.outlet.turn()
        if running.outlet.error is not None:
            await asyncio.sleep(pause)
        elif pause:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await running.wake.wait()


async def _end(running: _Running) -> None:
    if running.task is not None:
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        running.task = None
    await running.outlet.close()
