"""The client of the control socket, for rtstui and for the verbs that talk to a running daemon.

One `ControlClient` per socket. Every method is one request of contract section 5 and returns a type of
`rtsd.control.protocol`. Failures are errors of `rtsd.errors`: `DaemonUnreachable`, with advice, if no
daemon answers; else the class that the daemon named.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from urllib.parse import quote

import aiohttp
import msgspec

from rtsd.control import protocol
from rtsd.control.socket_connection import (
    FOREVER,
    SocketConnection,
    SocketForbidden,
    UnknownRoute,
    WrongProtocol,
    decode,
    decode_line,
    refusal,
    socket_path,
)

__all__ = ["ControlClient", "SocketForbidden", "UnknownRoute", "WrongProtocol", "socket_path"]

_WAIT = {"wait": "1"}
_PAGE_OF_ROWS = b'{"values":'
_ALL: Mapping[str, str | None] = {}


class ControlClient(SocketConnection):
    """One daemon's control API."""

    async def status(self) -> protocol.Status:
        """`GET /v1/status`."""
        return await self._get("/v1/status", protocol.Status)

    async def events(
        self,
        after: int = 0,
        name: str | None = None,
        limit: int | None = None,
        *,
        last: int | None = None,
        chosen: Mapping[str, str | None] = _ALL,
    ) -> list[protocol.Event]:
        """Journal entries after number `after`, or the `last` ones, oldest first.

        `chosen` may have `since` and `until` (ISO), and `type` (with commas).
        """
        query = _present(after=after if last is None else None, object=name, limit=limit, last=last, **chosen)
        body = await self.request("GET", "/v1/events", query=query)
        return [decode(line, protocol.Event) for line in body.splitlines() if line.strip()]

    async def event_values(self, seqs: Sequence[int]) -> list[protocol.ChangeValues]:
        """`GET /v1/events/values`: the applied changes among these entries, with their values."""
        query = {"seq": ",".join(map(str, seqs))}
        return (await self._get("/v1/events/values", protocol.EventValues, query)).values

    async def follow(
        self,
        after: int | None = None,
        name: str | None = None,
    ) -> AsyncGenerator[protocol.Snapshot | protocol.Event | protocol.Lagged, None]:
        """The live journal: a snapshot, then every entry. Ends after `Lagged` or with the daemon."""
        async for line in self.lines(_present(after=after, object=name, follow=1)):
            yield decode_line(
                line, {"snapshot": protocol.Snapshot, "lagged": protocol.Lagged}, protocol.Event
            )

    async def cloudevents(
        self,
        *,
        after: int | None = None,
        name: str | None = None,
        limit: int | None = None,
        last: int | None = None,
        chosen: Mapping[str, str | None] = _ALL,
        follow: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """The journal's changes with values, each a CloudEvents document; with `follow`, as they come.

        `chosen` as of `events`.
        """
        wanted = {"after": after, "object": name, "limit": limit, "follow": 1 if follow else None}
        async for line in self.lines(_present(format="cloudevents", last=last, **wanted, **chosen)):
            yield line

    async def frames(
        self, hz: int = 10, rows: int = 200
    ) -> AsyncGenerator[protocol.Snapshot | protocol.Frame, None]:
        """The journal thinned for a screen: a snapshot, then at most `hz` frames a second."""
        kinds: dict[str, type[protocol.Snapshot | protocol.Frame]] = {"snapshot": protocol.Snapshot}
        async for line in self.lines(_present(follow=1, hz=hz, rows=rows)):
            yield decode_line(line, kinds, protocol.Frame)

    async def nodes(self) -> list[protocol.SeenNode]:
        """Return the nodes that share the database; none where one process has the mirror."""
        return msgspec.json.decode(await self.get("/v1/nodes"), type=list[protocol.SeenNode])

    async def errors(self) -> list[protocol.ErrorEntry]:
        """The error log, newest first."""
        return (await self._get("/v1/errors", protocol.Errors)).errors

    async def actions(self) -> protocol.Actions:
        """`GET /v1/actions`: what operators did, newest first."""
        return await self._get("/v1/actions", protocol.Actions)

    async def missed(self, since: str | None = None) -> protocol.Missed:
        """`GET /v1/missed`: changes that came by no push, since a moment (ISO), else in 24 hours."""
        return await self._get("/v1/missed", protocol.Missed, _present(since=since))

    async def schema(self) -> list[protocol.ObjectFields]:
        """`GET /v1/schema`: the mirrored objects with their fields."""
        return (await self._get("/v1/schema", protocol.MirroredFields)).objects

    async def find(self, text: str) -> protocol.Found:
        """`GET /v1/find`: records by id, or by a part of a name, an address or a phone number."""
        return await self._get("/v1/find", protocol.Found, {"text": text})

    async def assist(self, body: protocol.AssistantBody) -> None:
        """`POST /v1/assistant`: have the journal tell that an assistant uses a tool."""
        await self.request("POST", "/v1/assistant", body=body)

    async def quota_history(self) -> protocol.QuotaHistory:
        """API calls by hour, and the use of each limit, over the last 7 days."""
        return await self._get("/v1/quota/history", protocol.QuotaHistory)

    async def query(self, sql: str, at: str | None = None) -> protocol.QueryResult:
        """Run a read-only SELECT on the mirror, or on what its objects were at a moment (ISO)."""
        body = protocol.QueryBody(sql, msgspec.UNSET if at is None else at)
        return await self._send("POST", "/v1/query", protocol.QueryResult, body)

    async def export(
        self, name: str, at: str | None = None
    ) -> AsyncGenerator[protocol.ExportHead | protocol.ExportPage | protocol.ExportEnd, None]:
        """All rows of an object, now or as of a moment (ISO): a head, pages of rows, and the end."""
        is_first = True
        async for line in self.lines_of(f"{_object(name)}/export", _present(at=at)):
            if line.startswith(_PAGE_OF_ROWS):
                yield decode(line, protocol.ExportPage)
            else:
                kind: type[protocol.ExportHead | protocol.ExportEnd]
                kind = protocol.ExportHead if is_first else protocol.ExportEnd
                yield decode(line, kind)
            is_first = False

    async def get(self, path: str) -> bytes:
        """Return the document at `path` as it was sent."""
        return await self.request("GET", path)

    # -- dead letters ----------------------------------------------------------------------------

    async def dead_letters(self) -> list[protocol.DeadLetter]:
        """Dead letters, newest first."""
        return (await self._get("/v1/dead-letters", protocol.DeadLetters)).dead_letters

    async def retry(self, dead_letter: int, *, wait: bool = False) -> protocol.Retried:
        """Try a dead letter again; with `wait`, for up to two seconds, until it is known how that ended."""
        path = f"/v1/dead-letters/{dead_letter}/retry"
        return await self._send("POST", path, protocol.Retried, query=_WAIT if wait else None)

    async def drop(self, dead_letter: int) -> protocol.Dropped:
        """Delete a dead letter."""
        return await self._send("POST", f"/v1/dead-letters/{dead_letter}/drop", protocol.Dropped)

    # -- one record ------------------------------------------------------------------------------

    async def record(self, name: str, record: str) -> protocol.Record:
        """One record as the mirror has it."""
        return await self._get(_record(name, record), protocol.Record)

    async def why(self, name: str, record: str, *, ask_org: bool = True) -> protocol.Why:
        """Everything that touched a record; with `ask_org`, for one API call, also how the org shows it."""
        return await self._get(f"{_record(name, record)}/why", protocol.Why, _ask(ask_org=ask_org))

    async def history(self, name: str, record: str) -> protocol.History:
        """A record's past values."""
        return await self._get(f"{_record(name, record)}/history", protocol.History)

    async def record_at(self, name: str, record: str, at: str) -> protocol.PastRecord:
        """One record as it was at a moment."""
        return await self._get(f"{_record(name, record)}/history", protocol.PastRecord, _present(at=at))

    # -- audits, repairs, verification -----------------------------------------------------------

    async def audits(self) -> protocol.Audits:
        """The audits under way; findings of audits, fingerprints and repairs, newest first."""
        return await self._get("/v1/audits", protocol.Audits)

    async def start_audit(self, name: str, *, full: bool = False) -> protocol.AuditStarted:
        """Begin to compare an object with the org and to repair it."""
        body = protocol.AuditBody(full=full)
        return await self._send("POST", f"{_object(name)}/audit", protocol.AuditStarted, body)

    async def audit(
        self, name: str, *, full: bool = False, accept_missing: bool = False
    ) -> protocol.AuditResult:
        """Compare an object with the org, repair it, and wait for the end.

        `accept_missing` goes with `full`: rows that the org does not show are deleted, however many.
        """
        body = protocol.AuditBody(full=full, accept_missing=accept_missing or msgspec.UNSET)
        path = f"{_object(name)}/audit"
        return await self._send("POST", path, protocol.AuditResult, body, query=_WAIT, patience=FOREVER)

    async def price_audit(self, name: str, *, full: bool = False, ask_org: bool = True) -> protocol.Priced:
        """The price of an audit; without `ask_org`, of a full read by the mirror's own size."""
        body = protocol.AuditBody(full=full, dry_run=True)
        path, query = f"{_object(name)}/audit", _ask(ask_org=ask_org)
        return await self._send("POST", path, protocol.Priced, body, query=query, patience=FOREVER)

    async def repair(
        self,
        name: str,
        ids: Sequence[str] = (),
        *,
        fields: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
    ) -> protocol.Repaired:
        """Fetch records again: some by id, those stamped since a time, or some fields of all of them."""
        body = protocol.RepairBody(list(ids), since, until, list(fields))
        return await self._send("POST", f"{_object(name)}/repair", protocol.Repaired, body, patience=FOREVER)

    async def price_repair(
        self,
        name: str,
        ids: Sequence[str] = (),
        *,
        fields: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
    ) -> protocol.Priced:
        """The price of a repair."""
        body = protocol.RepairBody(list(ids), since, until, list(fields), dry_run=True)
        return await self._send("POST", f"{_object(name)}/repair", protocol.Priced, body, patience=FOREVER)

    async def verify(self, *, certify: bool = False) -> protocol.Verification:
        """Verify the whole mirror, and wait for the end; `certify` adds a signed `certificate`."""
        body = protocol.VerifyBody(certify)
        return await self._send("POST", "/v1/verify", protocol.Verification, body, patience=FOREVER)

    async def price_verification(self) -> protocol.Priced:
        """The price of a verification."""
        body = protocol.VerifyBody(dry_run=True)
        return await self._send("POST", "/v1/verify", protocol.Priced, body, patience=FOREVER)

    # -- rules, the package, sync conditions -----------------------------------------------------

    async def rules(self) -> protocol.Rules:
        """Rules and alerts, and how their deliveries fare."""
        return await self._get("/v1/rules", protocol.Rules)

    async def test_rule(self, name: str, since: str) -> protocol.RuleTest:
        """The changes since a moment that would have fired a rule, by the journal; nothing is sent."""
        path, body = f"/v1/rules/{quote(name, safe='')}/test", protocol.RuleTestBody(since)
        return await self._send("POST", path, protocol.RuleTest, body, patience=FOREVER)

    async def package(self, *, probe: bool = False) -> protocol.PackageDetails:
        """The known facts about the Salesforce package; `probe` asks the org first."""
        return await self._get("/v1/package", protocol.PackageDetails, {"probe": "1"} if probe else None)

    async def set_package_disabled(self, *, disabled: bool) -> protocol.PackageDetails:
        """Switch the package off or on, for the whole org."""
        verb = "disable" if disabled else "enable"
        return await self._send("POST", f"/v1/package/{verb}", protocol.PackageDetails)

    async def package_changed(self, calls: Mapping[str, int], *, probe: bool) -> protocol.PackageDetails:
        """Report calls that were made beside the daemon, and have it probe the package if that changed."""
        body = protocol.PackageChangedBody(dict(calls), probe)
        return await self._send("POST", "/v1/package/changed", protocol.PackageDetails, body)

    async def conditions(self, name: str, *, ask_org: bool = True) -> protocol.Conditions:
        """The fields whose change is pushed; with `ask_org` read now, for one API call."""
        return await self._get(f"{_object(name)}/conditions", protocol.Conditions, _ask(ask_org=ask_org))

    async def set_conditions(self, name: str, fields: Sequence[str]) -> protocol.Conditions:
        """Replace an object's sync conditions; without any, every change is pushed."""
        body = protocol.ConditionsBody(list(fields))
        return await self._send("PUT", f"{_object(name)}/conditions", protocol.Conditions, body)

    # -- the daemon ------------------------------------------------------------------------------

    async def pause(self, objects: Sequence[str] = ()) -> protocol.Paused:
        """Stop applying changes of these objects, or of all."""
        return await self._send("POST", "/v1/pause", protocol.Paused, protocol.ObjectsBody(list(objects)))

    async def resume(self, objects: Sequence[str] = ()) -> protocol.Resumed:
        """End a pause of these objects, or of all."""
        return await self._send("POST", "/v1/resume", protocol.Resumed, protocol.ObjectsBody(list(objects)))

    async def reload(self) -> protocol.Reloaded:
        """Have the daemon read its configuration again. Raises ConfigError when that has mistakes."""
        return await self._send("POST", "/v1/reload", protocol.Reloaded)

    async def backup(self, keep: Callable[[bytes, int], None]) -> Mapping[str, str]:
        """Receive a copy of the mirror through `keep(piece, size of the whole)`; return its headers.

        `keep` raises errors of `rtsd.errors` only: an OSError would be taken for the connection's.
        """
        try:
            async with self._open("POST", "/v1/backup", None, None, FOREVER) as response:
                if response.status >= 400:
                    raise refusal(response.status, await response.read())
                async for piece in response.content.iter_any():
                    keep(piece, response.content_length or 0)
                return response.headers
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            self._unreachable(error)

    async def backup_progress(self) -> protocol.BackupProgress:
        """Progress of the backup under way."""
        return await self._get("/v1/backup", protocol.BackupProgress)


def _present(**query: object) -> dict[str, str]:
    return {key: str(value) for key, value in query.items() if value is not None}


def _ask(*, ask_org: bool) -> dict[str, str] | None:
    return None if ask_org else {"org": "0"}


def _object(name: str) -> str:
    return f"/v1/objects/{quote(name, safe='')}"


def _record(name: str, record: str) -> str:
    return f"{_object(name)}/records/{quote(record, safe='')}"
