"""The switchboard of the simulated org: `/_sim/...`, JSON in and out, for tests, benchmarks and the demo.

No route here exists at Salesforce and none counts as an API call.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from rtssim.apex_package.installation import install_package, put_settings, uninstall_package
from rtssim.faults import KINDS
from rtssim.interface import OrgError
from rtssim.limits import API
from rtssim.routing import error_body
from rtssim.switchboard.activity import Lively
from rtssim.switchboard.administration import become_another_org, change_schema, quiet_edit
from rtssim.switches import set_switches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rtssim.server import Service

ROWS_PER_WRITE = 500
SIGHT = ("hidden_objects", "hidden_records")


class Control:
    """Serves `/_sim`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lively: Lively | None = None
        self.dml_rows = 0

    def routes(self, app: web.Application) -> None:
        """Serve the switchboard."""
        table: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
            ("GET", "stats", self.stats),
            ("GET", "count/{object}", self.count),
            ("GET", "rows/{object}", self.rows),
            ("GET", "faults", self.list_faults),
            ("POST", "faults", self.add_fault),
            ("DELETE", "faults", self.remove_faults),
            ("POST", "clock", self.clock),
            ("POST", "limits", self.limits),
            ("POST", "switches", self.switches),
            ("POST", "visibility", self.visibility),
            ("POST", "sessions/expire", self.expire),
            ("POST", "org", self.change_org),
            ("POST", "schema", self.schema),
            ("POST", "hold", self.hold),
            ("POST", "dml", self.dml),
            ("POST", "quiet", self.quiet),
            ("POST", "package/install", self.install),
            ("POST", "package/uninstall", self.uninstall),
            ("POST", "package/settings", self.settings),
            ("POST", "package/heartbeat", self.heartbeat),
            ("POST", "package/test", self.ping),
            ("POST", "package/drain", self.drain),
            ("POST", "lively", self.start_lively),
            ("DELETE", "lively", self.stop_lively),
        ]
        for method, path, handler in table:
            app.router.add_route(method, f"/_sim/{path}", _guarded(handler))

    async def close(self) -> None:
        """Stop what runs."""
        if self._lively is not None:
            await self._lively.stop()
            self._lively = None

    # -- looking ------------------------------------------------------------------------------------
    async def stats(self, _request: web.Request) -> web.Response:
        """Return what was called, served and pushed since the start."""
        service = self._service
        package = service.package
        return _json(
            {
                "now": service.org.clock.now().isoformat(),
                "calls": dict(service.limits.by_kind),
                "api_calls": sum(service.limits.by_kind.values()),
                "api_calls_24h": service.limits.used(API),
                "logins": service.accounts.logins,
                "bulk_jobs": service.bulk.created,
                "rows_served": {"query": service.queries.rows_served, "bulk": service.bulk.rows_served},
                "pushes": {
                    **package.statistics.document(),
                    "pending": package.pending,
                    "triggers": sorted(package.configuration.triggers),
                },
                "dml_rows": self.dml_rows,
                "lively": None if self._lively is None else dict(self._lively.done),
                "faults": service.faults.listing(),
            }
        )

    async def count(self, request: web.Request) -> web.Response:
        """Return how many rows an object has, and how many lie in the recycle bin."""
        name = request.match_info["object"]
        org = self._service.org
        return _json({"count": org.count(name), "deleted": org.count(name, deleted=True)})

    async def rows(self, request: web.Request) -> web.StreamResponse:
        """Stream every live row with all its fields as NDJSON, by Id: the truth a mirror is compared with."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        rows = self._service.org.snapshot(request.match_info["object"])
        first = next(rows, None)  # an unknown object is refused before the answer begins
        await response.prepare(request)
        pending = [] if first is None else [first]
        for row in rows:
            pending.append(row)
            if len(pending) >= ROWS_PER_WRITE:
                await response.write(msgspec.json.Encoder().encode_lines(pending))
                pending = []
        await response.write(msgspec.json.Encoder().encode_lines(pending))
        await response.write_eof()
        return response

    # -- faults -------------------------------------------------------------------------------------
    async def list_faults(self, _request: web.Request) -> web.Response:
        """Return the rules in force and the kinds there are."""
        return _json({"faults": self._service.faults.listing(), "kinds": KINDS})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Put a rule in force: `{"kind", "probability"?, "count"?, "path"?, "seed"?, ...}`."""
        rule = self._service.faults.add(**await _body(request))
        return _json({"id": rule.id})

    async def remove_faults(self, request: web.Request) -> web.Response:
        """Take rules out of force, all or `?id=` or `?kind=`."""
        number = request.query.get("id")
        removed = self._service.faults.remove(int(number) if number else None, kind=request.query.get("kind"))
        return _json({"removed": removed})

    # -- settings of the org ------------------------------------------------------------------------
    async def clock(self, request: web.Request) -> web.Response:
        """Move the org's clock: `{"advance": s}`, `{"offset": s}` to this machine's, `{"speed": x}`."""
        body, clock = await _body(request), self._service.org.clock
        if "advance" in body:
            clock.advance(float(body["advance"]))
        if "offset" in body:
            clock.set_offset(float(body["offset"]))
        if "speed" in body:
            clock.set_speed(float(body["speed"]))
        self._service.org.settle()
        return _json({"now": clock.now().isoformat()})

    async def limits(self, request: web.Request) -> web.Response:
        """Set maxima by name, and `{"use": {name: n}}` to spend."""
        body, limits = await _body(request), self._service.limits
        for name, amount in body.pop("use", {}).items():
            limits.use(name, int(amount))
        limits.maximum.update({name: int(most) for name, most in body.items()})
        return _json({"max": limits.maximum[API], "used": limits.used(API)})

    async def switches(self, request: web.Request) -> web.Response:
        """Set switches of the wire and of the org by name; return all."""
        wire, org = self._service.switches, self._service.org.behaviour
        body = await _body(request)
        mine = {field.name for field in fields(wire)}
        set_switches(wire, {name: value for name, value in body.items() if name in mine})
        set_switches(org, {name: value for name, value in body.items() if name not in mine})
        return _json({**asdict(org), **asdict(wire)})

    async def visibility(self, request: web.Request) -> web.Response:
        """Change what the sync user sees; `hidden_fields` are written `Object.Field`."""
        body = await _body(request)
        changes: dict[str, Any] = {name: frozenset(body[name]) for name in SIGHT if name in body}
        if "hidden_fields" in body:
            changes["hidden_fields"] = frozenset(tuple(name.split(".", 1)) for name in body["hidden_fields"])
        if "view_all" in body:
            changes["view_all"] = bool(body["view_all"])
        who = self._service.accounts.change_sight(**changes)
        return _json({"hidden_objects": sorted(who.hidden_objects), "view_all": who.view_all})

    async def expire(self, _request: web.Request) -> web.Response:
        """End every session."""
        return _json({"expired": self._service.accounts.expire_sessions()})

    async def change_org(self, request: web.Request) -> web.Response:
        """Swap the org's id, as a sandbox copy has another: `{"org_id": ...}`."""
        body = await _body(request)
        become_another_org(self._service.org, str(body["org_id"]))
        self._service.package.configuration.reload()
        return _json({"org_id": self._service.org.org_id})

    async def schema(self, request: web.Request) -> web.Response:
        """Change objects and fields; see `administration.change_schema`."""
        change_schema(self._service.org, await _body(request))
        return _json({"described_at": self._service.org.described_at().isoformat()})

    async def hold(self, request: web.Request) -> web.Response:
        """Hold `latestDateCovered` at now: `{"seconds"}` of a long transaction on the instance."""
        self._service.org.hold_transaction(float((await _body(request))["seconds"]))
        return _json({})

    # -- data ---------------------------------------------------------------------------------------
    async def dml(self, request: web.Request) -> web.Response:
        """Change rows: `{"object", "op", "rows" | "ids", "commit_after"?, "quiet"?}`; one commit."""
        body = await _body(request)
        org = self._service.org
        with org.transaction(org.admin, commit_after=float(body.get("commit_after", 0.0))):
            ids = self._change(body)
        self.dml_rows += len(ids)
        return _json({"ids": ids})

    async def quiet(self, request: web.Request) -> web.Response:
        """Do a mass edit that fires no trigger; see `administration.quiet_edit`."""
        quiet_edit(self._service.org, await _body(request))
        return _json({})

    def _change(self, body: dict[str, Any]) -> list[str]:
        org, name, op = self._service.org, str(body["object"]), body["op"]
        who = org.admin
        rows, ids = body.get("rows", []), body.get("ids", [])
        if op == "merge":
            org.merge(who, name, body["master"], ids, body.get("fields"))
            return [body["master"], *ids]
        if op == "empty_bin":
            org.empty_bin(name, ids or None)
            return list(ids)
        if body.get("quiet") and op == "update":
            org.quiet_update(who, name, rows)
            return [row["Id"] for row in rows]
        if op in ("create", "update"):
            results = getattr(org, op)(who, name, rows)
        elif op in ("delete", "undelete", "hard_delete"):
            results = getattr(org, op)(who, name, ids)
        elif op == "upsert":
            results = org.upsert(who, name, body["key"], rows)
        else:
            raise ValueError(f"unknown op {op!r}")
        return [result.unwrap() for result in results]

    # -- package ------------------------------------------------------------------------------------
    async def install(self, request: web.Request) -> web.Response:
        """Install the package: `{"objects"?: [...], "settings"?: {...}}`."""
        body, service = await _body(request), self._service
        objects = install_package(service.org, service.package, body.get("objects"))
        if body.get("settings"):
            put_settings(service.org, service.package, body["settings"])
        return _json({"triggers": objects})

    async def uninstall(self, _request: web.Request) -> web.Response:
        """Remove the package and all it brought."""
        uninstall_package(self._service.org, self._service.package)
        return _json({"triggers": []})

    async def settings(self, request: web.Request) -> web.Response:
        """Set fields of the org's RTS_Settings__c row."""
        record_id = put_settings(self._service.org, self._service.package, await _body(request))
        return _json({"id": record_id})

    async def heartbeat(self, _request: web.Request) -> web.Response:
        """Send a heartbeat now; `status` is the gateway's answer, 0 for none, null when nothing was sent."""
        return _json({"status": await self._service.package.heartbeat()})

    async def ping(self, _request: web.Request) -> web.Response:
        """Send an admin's ping now."""
        return _json({"status": await self._service.package.test()})

    async def drain(self, _request: web.Request) -> web.Response:
        """Answer when no push is under way any more."""
        await self._service.package.drain()
        return _json({"pending": self._service.package.pending})

    # -- lively -------------------------------------------------------------------------------------
    async def start_lively(self, request: web.Request) -> web.Response:
        """Let people work: `{"rate"?: commits per second, "seed"?, "objects"?: [...]}`."""
        body = await _body(request)
        await self.close()
        self._lively = Lively(self._service.org, self._service.faults, **body)
        return _json({"lively": True})

    async def stop_lively(self, _request: web.Request) -> web.Response:
        """Send everybody home; return what was done."""
        done = {} if self._lively is None else dict(self._lively.done)
        await self.close()
        return _json({"done": done})


async def _body(request: web.Request) -> dict[str, Any]:
    content = await request.read()
    value = msgspec.json.decode(content) if content else {}
    if not isinstance(value, dict):
        raise ValueError("the body has to be a JSON object")  # noqa: TRY004 - the answer is 400 either way
    return value


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")


def _guarded(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except OrgError as error:
            return _json(error_body(error), error.status)
        except (KeyError, TypeError, ValueError, msgspec.DecodeError) as problem:
            return _json({"error": type(problem).__name__, "message": str(problem)}, 400)

    return guarded
