"""Routes below /_sim: JSON in and out, for tests, benchmarks and the demo; none counts as an API call."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from rtssim.apex_package.installation import install_package, put_settings, uninstall_package
from rtssim.faults import KINDS
from rtssim.interface import OrgError
from rtssim.limits import API
from rtssim.routing import error_body
from rtssim.switchboard.activity import Activity
from rtssim.switchboard.administration import change_org_id, change_schema, edit_untriggered
from rtssim.switches import set_switches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rtssim.interface import SaveResult
    from rtssim.server import OrgServer

ROWS_PER_WRITE = 500
HIDDEN = ("hidden_objects", "hidden_records")


class Switchboard:
    """Answers everything below `/_sim`."""

    def __init__(self, server: OrgServer) -> None:
        self._server = server
        self._activity: Activity | None = None
        self.dml_rows = 0

    def routes(self, app: web.Application) -> None:
        """Serve the routes."""
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
            ("POST", "rules", self.add_rule),
            ("DELETE", "rules", self.remove_rules),
            ("POST", "hold", self.hold),
            ("POST", "dml", self.dml),
            ("POST", "untriggered", self.edit_untriggered),
            ("POST", "bus/move", self.move_instance),
            ("POST", "package/install", self.install),
            ("POST", "package/uninstall", self.uninstall),
            ("POST", "package/settings", self.settings),
            ("POST", "package/relay", self.relay),
            ("POST", "package/heartbeat", self.heartbeat),
            ("POST", "package/test", self.ping),
            ("POST", "package/drain", self.drain),
            ("POST", "activity", self.start_activity),
            ("DELETE", "activity", self.stop_activity),
        ]
        for method, path, handler in table:
            app.router.add_route(method, f"/_sim/{path}", _guarded(handler))

    async def close(self) -> None:
        """Stop the simulated users."""
        if self._activity is not None:
            await self._activity.stop()
            self._activity = None

    # -- contents and statistics --------------------------------------------------------------------
    async def stats(self, _request: web.Request) -> web.Response:
        """Return counts of calls, rows served and pushes since the start."""
        server = self._server
        package = server.package
        return _json(
            {
                "now": server.org.clock.now().isoformat(),
                "calls": dict(server.limits.by_kind),
                "api_calls": sum(server.limits.by_kind.values()),
                "api_calls_24h": server.limits.used(API),
                "logins": server.accounts.logins,
                "bulk_jobs": server.bulk.created,
                "rows_served": {"query": server.queries.rows_served, "bulk": server.bulk.rows_served},
                "pushes": {
                    **package.statistics.document(),
                    "pending": package.pending,
                    "triggers": sorted(package.configuration.triggers),
                },
                "dml_rows": self.dml_rows,
                "activity": None if self._activity is None else dict(self._activity.done),
                "faults": server.faults.listing(),
            }
        )

    async def count(self, request: web.Request) -> web.Response:
        """Return how many live rows an object has, and how many in the recycle bin."""
        name = request.match_info["object"]
        org = self._server.org
        return _json({"count": org.count(name), "deleted": org.count(name, deleted=True)})

    async def rows(self, request: web.Request) -> web.StreamResponse:
        """Stream every live row by Id with all fields as NDJSON, for comparison with a mirror."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        rows = self._server.org.snapshot(request.match_info["object"])
        first = next(rows, None)  # fails for an unknown object, before the answer begins
        pending = [] if first is None else [first]
        with suppress(ConnectionError):  # a client may leave
            await response.prepare(request)
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
        """Return the active faults and the known kinds."""
        return _json({"faults": self._server.faults.listing(), "kinds": KINDS})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Activate a fault: `{"kind", "probability"?, "count"?, "path"?, "seed"?, ...}`."""
        fault = self._server.faults.add(**await _body(request))
        return _json({"id": fault.id})

    async def remove_faults(self, request: web.Request) -> web.Response:
        """Deactivate faults: all, or by `?id=` or `?kind=`."""
        number = request.query.get("id")
        removed = self._server.faults.remove(int(number) if number else None, kind=request.query.get("kind"))
        return _json({"removed": removed})

    # -- settings of the org ------------------------------------------------------------------------
    async def clock(self, request: web.Request) -> web.Response:
        """Set the org's clock: `{"advance": s}`, `{"offset": s}` from the machine's clock, `{"speed": x}`."""
        body, clock = await _body(request), self._server.org.clock
        if "advance" in body:
            clock.advance(float(body["advance"]))
        if "offset" in body:
            clock.set_offset(float(body["offset"]))
        if "speed" in body:
            clock.set_speed(float(body["speed"]))
        self._server.org.settle()
        return _json({"now": clock.now().isoformat()})

    async def limits(self, request: web.Request) -> web.Response:
        """Set maxima by name, and record uses: `{"use": {name: n}}`."""
        body, limits = await _body(request), self._server.limits
        for name, amount in body.pop("use", {}).items():
            limits.use(name, int(amount))
        limits.maximum.update({name: int(most) for name, most in body.items()})
        return _json({"max": limits.maximum[API], "used": limits.used(API)})

    async def switches(self, request: web.Request) -> web.Response:
        """Set switches by name; return all."""
        org = self._server.org.switches
        body = await _body(request)
        for others in (self._server.switches, self._server.event_switches):
            names = {field.name for field in fields(others)}
            set_switches(others, {name: body.pop(name) for name in names & body.keys()})
        set_switches(org, body)
        return _json({**asdict(org), **asdict(self._server.switches), **asdict(self._server.event_switches)})

    async def visibility(self, request: web.Request) -> web.Response:
        """Limit what the sync user sees; `hidden_fields` have the form `Object.Field`."""
        body = await _body(request)
        changes: dict[str, Any] = {name: frozenset(body[name]) for name in HIDDEN if name in body}
        if "hidden_fields" in body:
            changes["hidden_fields"] = frozenset(tuple(name.split(".", 1)) for name in body["hidden_fields"])
        if "view_all" in body:
            changes["view_all"] = bool(body["view_all"])
        who = self._server.accounts.change_visibility(**changes)
        return _json({"hidden_objects": sorted(who.hidden_objects), "view_all": who.view_all})

    async def expire(self, _request: web.Request) -> web.Response:
        """End all sessions."""
        return _json({"expired": self._server.accounts.expire_sessions()})

    async def change_org(self, request: web.Request) -> web.Response:
        """Give the org another id, as a sandbox copy has: `{"org_id": ...}`."""
        body = await _body(request)
        change_org_id(self._server.org, str(body["org_id"]))
        self._server.package.configuration.reload()
        return _json({"org_id": self._server.org.org_id})

    async def schema(self, request: web.Request) -> web.Response:
        """Change objects and fields; see `administration.change_schema`."""
        body = await _body(request)
        change_schema(self._server.org, body)
        if body["op"] == "change_field_type":
            self._server.change_events.announce_conversion(str(body["object"]))
        return _json({"described_at": self._server.org.described_at().isoformat()})

    async def add_rule(self, request: web.Request) -> web.Response:
        """Let a rule of the org's own refuse every save of an object: `{"object", "kind", "unless"?}`."""
        body = await _body(request)
        self._server.org.rules.add(str(body["object"]), str(body["kind"]), str(body.get("unless", "")))
        return _json({})

    async def remove_rules(self, _request: web.Request) -> web.Response:
        """Remove the org's own rules."""
        self._server.org.rules.clear()
        return _json({})

    async def hold(self, request: web.Request) -> web.Response:
        """Hold `latestDateCovered` at now for `{"seconds"}`, as a long transaction does."""
        self._server.org.hold_transaction(float((await _body(request))["seconds"]))
        return _json({})

    # -- data ---------------------------------------------------------------------------------------
    async def dml(self, request: web.Request) -> web.Response:
        """Change rows in a commit: `{"object", "op", "rows" | "ids", "commit_after"?, "untriggered"?}`."""
        body = await _body(request)
        org = self._server.org
        with org.transaction(org.admin, commit_after=float(body.get("commit_after", 0.0))):
            ids = self._change(body)
        self.dml_rows += len(ids)
        return _json({"ids": ids})

    async def edit_untriggered(self, request: web.Request) -> web.Response:
        """Make a mass edit that fires no trigger; see `administration.edit_untriggered`."""
        edit_untriggered(self._server.org, await _body(request))
        return _json({})

    def _change(self, body: dict[str, Any]) -> list[str]:
        org, name, op = self._server.org, str(body["object"]), body["op"]
        who = org.admin
        rows, ids = body.get("rows", []), body.get("ids", [])
        if op == "merge":
            org.merge(who, name, body["master"], ids, body.get("fields"))
            return [body["master"], *ids]
        if op == "empty_bin":
            org.empty_bin(name, ids or None)
            return list(ids)
        if body.get("untriggered") and op == "update":
            org.update_untriggered(who, name, rows)
            return [row["Id"] for row in rows]
        operations: dict[str, Callable[[], list[SaveResult]]] = {
            "create": lambda: org.create(who, name, rows),
            "update": lambda: org.update(who, name, rows),
            "upsert": lambda: org.upsert(who, name, body["key"], rows),
            "delete": lambda: org.delete(who, name, ids),
            "undelete": lambda: org.undelete(who, name, ids),
            "hard_delete": lambda: org.hard_delete(who, name, ids),
        }
        if op not in operations:
            raise ValueError(f"unknown op {op!r}")
        return [result.unwrap() for result in operations[op]()]

    async def move_instance(self, _request: web.Request) -> web.Response:
        """Move the org to another instance, which makes every replay id invalid."""
        self._server.bus.move_instance()
        return _json({})

    # -- package ------------------------------------------------------------------------------------
    async def install(self, request: web.Request) -> web.Response:
        """Install the package: `{"objects"?: [...], "settings"?: {...}, "channel"?: ...}`."""
        body, server = await _body(request), self._server
        channel = body.get("channel", "gateway")
        objects = install_package(server.org, server.package, body.get("objects"), channel=channel)
        if body.get("settings"):
            put_settings(server.org, server.package, body["settings"])
        return _json({"triggers": objects})

    async def uninstall(self, _request: web.Request) -> web.Response:
        """Remove the package with everything that it added."""
        uninstall_package(self._server.org, self._server.package)
        return _json({"triggers": []})

    async def settings(self, request: web.Request) -> web.Response:
        """Set fields of the org's RTS_Settings__c row."""
        record_id = put_settings(self._server.org, self._server.package, await _body(request))
        return _json({"id": record_id})

    async def relay(self, request: web.Request) -> web.Response:
        """Suspend or resume the relay, or exhaust its retries: `{"action", "message"?}`; return its state."""
        relay = self._server.package.relay
        relay.act(**await _body(request))
        return _json(relay.state())

    async def heartbeat(self, _request: web.Request) -> web.Response:
        """Send a heartbeat now; `status` is the gateway's answer, 0 without one, null if nothing was sent."""
        return _json({"status": await self._server.package.heartbeat()})

    async def ping(self, _request: web.Request) -> web.Response:
        """Send an admin's ping now."""
        return _json({"status": await self._server.package.ping()})

    async def drain(self, _request: web.Request) -> web.Response:
        """Wait until no push is in flight."""
        await self._server.package.drain()
        return _json({"pending": self._server.package.pending})

    # -- simulated users ----------------------------------------------------------------------------
    async def start_activity(self, request: web.Request) -> web.Response:
        """Start simulated users: `{"rate"?: commits per second, "seed"?, "objects"?: [...]}`."""
        body = await _body(request)
        await self.close()
        self._activity = Activity(self._server.org, self._server.faults, **body)
        return _json({"activity": True})

    async def stop_activity(self, _request: web.Request) -> web.Response:
        """Stop the simulated users; return their commits by action."""
        done = {} if self._activity is None else dict(self._activity.done)
        await self.close()
        return _json({"done": done})


async def _body(request: web.Request) -> dict[str, Any]:
    content = await request.read()
    value = msgspec.json.decode(content) if content else {}
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - the answer is 400 either way
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
