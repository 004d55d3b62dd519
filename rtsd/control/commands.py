"""Commands to the daemon as a whole: pause and resume."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, body_of, find_object
from rtsd.core.server_clock import ServerClock
from rtsd.store.inbox import Inbox
from rtsd.sync import object_states
from rtsd.sync.catalog import Catalog
from rtsd.sync.describe import Describer
from rtsd.sync.interval_sync import IntervalSync
from rtsd.sync.loading import Loader
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.mode import ModeMachine
from rtsd.sync.unit_of_work import UnitsOfWork


class Pausing:
    """Pauses and resumes the sync, all of it or some objects."""

    def __init__(
        self,
        catalog: Catalog,
        work: UnitsOfWork,
        mode: ModeMachine,
        *,
        describer: Describer,
        interval_sync: IntervalSync,
        loader: Loader,
        inbox: Inbox,
        server_clock: ServerClock,
    ) -> None:
        self._catalog = catalog
        self._work = work
        self._mode = mode
        self._describer = describer
        self._interval_sync = interval_sync
        self._loader = loader
        self._inbox = inbox
        self._server_clock = server_clock

    async def pause(self, objects: Sequence[MirroredObject]) -> None:
        """Pause the whole sync; with objects, the reading of those."""
        if not objects:
            await self._mode.pause()
        for mirrored in objects:
            await object_states.pause(self._work, mirrored)

    async def resume(self, objects: Sequence[MirroredObject]) -> None:
        """Resume; without objects, everything.

        A resumed object gets the pushes of the pause, is described, read and proven.
        """
        if not objects:
            await self._mode.resume()
        for mirrored in objects or self._catalog:
            if mirrored.paused:
                await object_states.resume(self._work, mirrored, self._server_clock.now())
                self._describer.invalidate(mirrored)
        self._inbox.arrived.set()
        await self._interval_sync.catch_up("resumed by an operator")
        self._loader.wake.set()


class CommandRoutes:
    """Answers `/v1/pause` and `/v1/resume`."""

    def __init__(self, catalog: Catalog, pausing: Pausing) -> None:
        self._catalog = catalog
        self._pausing = pausing

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/v1/pause", self._pause),
            web.post("/v1/resume", self._resume),
        ]

    async def _pause(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.ObjectsBody)
        await self._pausing.pause(self._named(body))
        return answer(protocol.Paused(paused=body.objects or True))

    async def _resume(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.ObjectsBody)
        await self._pausing.resume(self._named(body))
        return answer(protocol.Resumed(resumed=body.objects or True))

    def _named(self, body: protocol.ObjectsBody) -> list[MirroredObject]:
        return [find_object(self._catalog, name) for name in body.objects]
