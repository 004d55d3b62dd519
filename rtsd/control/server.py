"""The control API: HTTP and JSON on a Unix socket (contract section 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from rtsd.control import access, protocol
from rtsd.control.backup import Backups
from rtsd.control.documents import answer, body_of, find_object
from rtsd.control.explain import Explainer
from rtsd.control.metrics import Metrics
from rtsd.control.operations import Operations
from rtsd.control.package import PackageRoutes
from rtsd.control.repairs import RepairBody, Repairs
from rtsd.control.rules import RuleOperations
from rtsd.control.stream import EventQuery, EventStream
from rtsd.control.views import Views
from rtsd.core.ids import full_id
from rtsd.errors import Conflict, NotFound, UsageError
from rtsd.store import dead_letters, error_log, mirror, query
from rtsd.sync.catalog import MirroredObject

MAX_PAGE = 10_000
_MOST = 2**63 - 1
"""The largest number that SQLite compares with."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ObjectsBody(msgspec.Struct):
    """`{"objects": […]}`; none means all."""

    objects: list[str] = []


class AuditBody(msgspec.Struct):
    """`{"full": false, "dry_run": false, "accept_missing": false}`."""

    full: bool = False
    dry_run: bool = False
    accept_missing: bool = False


class QueryBody(msgspec.Struct):
    """`{"sql": "SELECT …"}`."""

    sql: str


class RuleTestBody(msgspec.Struct):
    """`{"since": "2026-03-01T10:00:00Z"}`."""

    since: str


class VerifyBody(msgspec.Struct):
    """`{"certificate": false}`."""

    certificate: bool = False


class ControlServer:
    """The listening socket and its routes."""

    def __init__(
        self,
        shown: Views,
        *,
        stream: EventStream,
        operations: Operations,
        repairs: Repairs,
        explainer: Explainer,
        backups: Backups,
        package: PackageRoutes,
        metrics: Metrics,
        rules: RuleOperations,
    ) -> None:
        self._metrics = metrics
        self._explainer = explainer
        self._backups = backups
        self._package = package
        self._rule_operations = rules
        self._views = shown
        self._stream = stream
        self._operations = operations
        self._repairs = repairs
        self.reload: Callable[[], protocol.Reloaded] | None = None
        """Takes up the configuration again; None until the daemon runs."""
        self._runner: web.AppRunner | None = None
        self._path: Path | None = None

    async def start(self, path: Path) -> None:
        """Listen at `path`, for the owner and its group. Raises AddressInUse."""
        app = web.Application(middlewares=[access.shaped, access.admitted])
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, logger=access.quiet_logger(), shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.SockSite(self._runner, access.listen(path))
        await site.start()
        self._path = path

    async def stop(self) -> None:
        """Close the socket and its connections."""
        self._backups.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _routes(self) -> list[web.RouteDef]:
        get, post = web.get, web.post
        return [
            get("/v1/status", self._status),
            get("/v1/events", self._events),
            get("/v1/errors", self._error_log),
            get("/v1/quota/history", self._quota_history),
            get("/v1/audits", self._audits),
            get("/v1/dead-letters", self._dead_letters),
            get("/v1/dead-letters/{id}", self._dead_letter),
            post("/v1/dead-letters/{id}/retry", self._retry),
            post("/v1/dead-letters/{id}/drop", self._drop),
            get("/v1/objects/{object}/records/{id}", self._record),
            get("/v1/objects/{object}/records/{id}/history", self._history),
            get("/v1/objects/{object}/records/{id}/why", self._why),
            get("/v1/rules", self._rules),
            post("/v1/rules/{name}/test", self._test_rule),
            *self._package.routes(),
            post("/v1/objects/{object}/audit", self._audit),
            post("/v1/objects/{object}/repair", self._repair),
            get("/metrics", self._metrics.answer),
            get("/v1/backup", self._backup_progress),
            post("/v1/backup", self._backups.answer),
            post("/v1/query", self._query),
            post("/v1/verify", self._verify),
            post("/v1/reload", self._reload),
            post("/v1/pause", self._pause),
            post("/v1/resume", self._resume),
        ]

    async def _status(self, _request: web.Request) -> web.Response:
        return answer(await self._views.status())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        return await self._stream.answer(
            request,
            EventQuery(
                after=_number(query.get("after"), "after") if "after" in query else None,
                object=self._object_name(query.get("object")),
                limit=min(_number(query.get("limit", "1000"), "limit"), MAX_PAGE),
                follow=query.get("follow", "0") not in ("", "0", "false"),
                hz=min(_number(query.get("hz", "0"), "hz"), 60),
                rows=min(_number(query.get("rows", "200"), "rows"), 1000),
            ),
        )

    async def _error_log(self, _request: web.Request) -> web.Response:
        found = await error_log.newest(self._views.engine.database)
        return answer(
            protocol.Errors(
                errors=[
                    protocol.ErrorEntry(
                        seq=one.seq,
                        at=one.at,
                        error=one.error,
                        message=one.message,
                        object=one.object,
                        count=one.count,
                    )
                    for one in found
                ]
            )
        )

    async def _quota_history(self, _request: web.Request) -> web.Response:
        return answer(await self._views.quota_history())

    async def _audits(self, _request: web.Request) -> web.Response:
        return answer(await self._views.audits())

    async def _dead_letters(self, _request: web.Request) -> web.Response:
        found = await dead_letters.newest(self._views.engine.database)
        return answer(protocol.DeadLetters(dead_letters=[_letter(one) for one in found]))

    async def _dead_letter(self, request: web.Request) -> web.Response:
        """One dead letter with the document that could not be used."""
        found = await dead_letters.get(self._views.engine.database, _letter_id(request))
        document = {**msgspec.structs.asdict(_letter(found)), found.kind: msgspec.Raw(found.body)}
        return answer(document)

    async def _retry(self, request: web.Request) -> web.Response:
        await self._operations.retry(_letter_id(request))
        return answer({"retried": True})

    async def _drop(self, request: web.Request) -> web.Response:
        await self._operations.drop(_letter_id(request))
        return answer({"dropped": True})

    async def _record(self, request: web.Request) -> web.Response:
        mirrored = self._object(request)
        record_id = _record_id(request.match_info["id"])
        found = None
        if mirrored.table is not None:
            found = await mirror.record(self._views.engine.database, mirrored.table, record_id)
        if found is None:
            raise NotFound(
                f"no {mirrored.name} {record_id} in the mirror",
                f"`rtsd repair {mirrored.name} {record_id}` fetches it from Salesforce",
            )
        return answer({"object": mirrored.name, "id": record_id, **found})

    async def _history(self, request: web.Request) -> web.Response:
        record_id = _record_id(request.match_info["id"])
        at = request.query.get("at")
        return answer(await self._explainer.history(self._object(request), record_id, at))

    async def _why(self, request: web.Request) -> web.Response:
        """`?org=0` leaves the org out of it, and so costs no call."""
        record_id = _record_id(request.match_info["id"])
        ask_org = request.query.get("org", "1") not in ("", "0", "false")
        return answer(await self._explainer.why(self._object(request), record_id, ask_org=ask_org))

    async def _audit(self, request: web.Request) -> web.Response:
        body = await body_of(request, AuditBody)
        mirrored = self._object(request)
        if body.dry_run:
            return answer(await self._operations.price(mirrored, full=body.full))
        run = self._operations.audit(mirrored, full=body.full, accept_missing=body.accept_missing)
        if request.query.get("wait", "0") in ("", "0"):
            return answer({"run": run.number}, status=202)
        return answer(await run.result)

    async def _repair(self, request: web.Request) -> web.Response:
        return answer(await self._repairs.run(self._object(request), await body_of(request, RepairBody)))

    async def _backup_progress(self, _request: web.Request) -> web.Response:
        return answer(self._backups.progress)

    async def _query(self, request: web.Request) -> web.Response:
        """`{"columns": […], "rows": [[…]], "truncated": false}`."""
        body = await body_of(request, QueryBody)
        return answer(await query.run(self._views.engine.database.path, body.sql))

    async def _verify(self, request: web.Request) -> web.Response:
        body = await body_of(request, VerifyBody)
        return answer(await self._operations.verify(certify=body.certificate))

    async def _rules(self, _request: web.Request) -> web.Response:
        return answer(await self._rule_operations.list())

    async def _test_rule(self, request: web.Request) -> web.Response:
        body = await body_of(request, RuleTestBody)
        return answer(await self._rule_operations.test(request.match_info["name"], body.since))

    async def _reload(self, _request: web.Request) -> web.Response:
        if self.reload is None:
            raise Conflict("rtsd is starting", "try again in a moment")
        return answer(self.reload())

    async def _pause(self, request: web.Request) -> web.Response:
        body = await body_of(request, ObjectsBody)
        await self._operations.pause([self._find(name) for name in body.objects])
        return answer({"paused": body.objects or True})

    async def _resume(self, request: web.Request) -> web.Response:
        body = await body_of(request, ObjectsBody)
        await self._operations.resume([self._find(name) for name in body.objects])
        return answer({"resumed": body.objects or True})

    def _object(self, request: web.Request) -> MirroredObject:
        return self._find(request.match_info["object"])

    def _find(self, name: str) -> MirroredObject:
        return find_object(self._views.engine, name)

    def _object_name(self, name: str | None) -> str | None:
        return self._find(name).name if name else None


def _number(text: str | None, name: str) -> int:
    try:
        return min(max(int(text or "0"), 0), _MOST)
    except ValueError as error:
        raise UsageError(f"{name} must be a whole number") from error


def _letter_id(request: web.Request) -> int:
    return _number(request.match_info["id"], "the dead letter's id")


def _record_id(text: str) -> str:
    try:
        return full_id(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _letter(one: dead_letters.DeadLetter) -> protocol.DeadLetter:
    return protocol.DeadLetter(
        id=one.id,
        at=one.at,
        reason=one.reason,
        message=one.message,
        object=one.object,
        record=one.record,
        attempts=one.attempts,
        kind=one.kind,
        rule=one.rule,
    )
