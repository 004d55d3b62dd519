"""One record on the control socket: now, at a moment, its history, and why it is as it is."""

from __future__ import annotations

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, is_on, moment, object_of, record_id_of
from rtsd.control.explain import Explainer
from rtsd.core.instant import to_iso
from rtsd.errors import NotFound
from rtsd.sync.catalog import Catalog


class RecordRoutes:
    """Answers `/v1/objects/{o}/records/{id}` and what is below it."""

    def __init__(self, catalog: Catalog, explainer: Explainer) -> None:
        self._catalog = catalog
        self._explainer = explainer

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        path = "/v1/objects/{object}/records/{id}"
        return [
            web.get(path, self._record),
            web.get(f"{path}/history", self._history),
            web.get(f"{path}/why", self._why),
        ]

    async def _record(self, request: web.Request) -> web.Response:
        mirrored, record_id = object_of(request, self._catalog), record_id_of(request)
        found = await self._explainer.record(mirrored, record_id)
        if found is None:
            raise NotFound(
                f"no {mirrored.name} {record_id} in the mirror",
                f"`rtsd repair {mirrored.name} {record_id}` fetches it from Salesforce",
            )
        shown = protocol.Record(
            object=mirrored.name,
            id=record_id,
            state=found.state,
            values=found.values,
            seen_at=found.seen_at,
            source=found.source,
            deleted_at=found.deleted_at,
            master=found.master,
        )
        return answer(shown)

    async def _history(self, request: web.Request) -> web.Response:
        mirrored, record_id = object_of(request, self._catalog), record_id_of(request)
        at = request.query.get("at")
        if at:
            return answer(await self._explainer.record_at(mirrored, record_id, to_iso(moment(at, "at"))))
        return answer(await self._explainer.history(mirrored, record_id))

    async def _why(self, request: web.Request) -> web.Response:
        """`?org=0` does not ask the org, and so costs no call."""
        mirrored, record_id = object_of(request, self._catalog), record_id_of(request)
        return answer(
            await self._explainer.why(mirrored, record_id, ask_org=is_on(request, "org", default=True))
        )
