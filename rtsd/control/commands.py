"""Commands to the daemon as a whole: pause, resume, and SQL on the mirror."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, body_of, find_object
from rtsd.store import query
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog, MirroredObject
from rtsd.sync.engine import Engine
from rtsd.sync.interval_sync import IntervalSync
from rtsd.sync.mode import ModeMachine


class Pausing:
    """Pauses and resumes the sync, all of it or some objects."""

    def __init__(self, engine: Engine, mode: ModeMachine, interval_sync: IntervalSync) -> None:
        self._engine = engine
        self._mode = mode
        self._interval_sync = interval_sync

    async def pause(self, objects: Sequence[MirroredObject]) -> None:
        """Pause the whole sync; with objects, the reading of those."""
        if not objects:
            await self._mode.pause()
        for mirrored in objects:
            await self._set_paused(mirrored, paused=True)

    async def resume(self, objects: Sequence[MirroredObject]) -> None:
        """Resume; without objects, everything."""
        if not objects:
            await self._mode.resume()
        for mirrored in objects or self._engine.catalog:
            await self._set_paused(mirrored, paused=False)
        self._interval_sync.catch_up()

    async def _set_paused(self, mirrored: MirroredObject, *, paused: bool) -> None:
        if mirrored.paused == paused:
            return
        async with self._engine.unit_of_work() as unit:
            await self._engine.catalog.update(unit.tx, mirrored, paused=paused)
            message = "paused by an operator" if paused else "resumed by an operator"
            await unit.note(Note("mode", mirrored.name, message=message))


class CommandRoutes:
    """Answers `/v1/pause`, `/v1/resume` and `/v1/query`."""

    def __init__(self, catalog: Catalog, database: Path, pausing: Pausing) -> None:
        self._catalog = catalog
        self._database = database
        self._pausing = pausing

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/v1/pause", self._pause),
            web.post("/v1/resume", self._resume),
            web.post("/v1/query", self._query),
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

    async def _query(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.QueryBody)
        found = await query.run(self._database, body.sql)
        return answer(protocol.QueryResult(columns=found.columns, rows=found.rows, truncated=found.truncated))
