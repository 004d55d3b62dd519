"""The client of the control socket, for rtstui and for the verbs that talk to a running daemon.

One `ControlClient` per socket. Every method is one request of contract section 5; documents that
`protocol` types come back typed, the others as the JSON they are. Failures are errors of
`rtsd.errors`: nobody there is `DaemonUnreachable` with what to do about it, a refusal is the class
the daemon named.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp

from rtsd.control import protocol
from rtsd.control.connection import (
    FOREVER,
    Connection,
    SocketForbidden,
    UnknownRoute,
    WrongProtocol,
    decode,
    decode_line,
    refusal,
    socket_path,
)

__all__ = ["ControlClient", "SocketForbidden", "UnknownRoute", "WrongProtocol", "socket_path"]


class ControlClient(Connection):
    """One daemon's control API."""

    async def status(self) -> protocol.Status:
        """`GET /v1/status`."""
        return decode(await self._request("GET", "/v1/status"), protocol.Status)

    async def events(
        self,
        after: int = 0,
        name: str | None = None,
        limit: int | None = None,
    ) -> list[protocol.Event]:
        """Journal entries after number `after`, oldest first."""
        query = _present(after=after, object=name, limit=limit)
        body = await self._request("GET", "/v1/events", query=query)
        return [decode(line, protocol.Event) for line in body.splitlines() if line.strip()]

    async def follow(
        self,
        after: int | None = None,
        name: str | None = None,
    ) -> AsyncGenerator[protocol.Snapshot | protocol.Event | protocol.Lagged, None]:
        """The live journal: a snapshot, then every entry. Ends after `Lagged` or with the daemon."""
        async for line in self._lines(_present(after=after, object=name, follow=1)):
            yield decode_line(
                line, {"snapshot": protocol.Snapshot, "lagged": protocol.Lagged}, protocol.Event
            )

    async def frames(
        self, hz: int = 10, rows: int = 200
    ) -> AsyncGenerator[protocol.Snapshot | protocol.Frame, None]:
        """The journal thinned for a screen: a snapshot, then at most `hz` frames a second."""
        kinds: dict[str, type[protocol.Snapshot | protocol.Frame]] = {"snapshot": protocol.Snapshot}
        async for line in self._lines(_present(follow=1, hz=hz, rows=rows)):
            yield decode_line(line, kinds, protocol.Frame)

    async def errors(self) -> list[protocol.ErrorEntry]:
        """The error log, newest first."""
        return decode(await self._request("GET", "/v1/errors"), protocol.Errors).errors

    async def dead_letters(self) -> list[protocol.DeadLetter]:
        """What could not be used, newest first."""
        return decode(await self._request("GET", "/v1/dead-letters"), protocol.DeadLetters).dead_letters

    async def rules(self) -> protocol.Rules:
        """Rules and alerts, and how their deliveries fare."""
        return decode(await self._request("GET", "/v1/rules"), protocol.Rules)

    async def quota_history(self) -> dict[str, Any]:
        """`GET /v1/quota/history`."""
        return await self._json("GET", "/v1/quota/history")

    async def record(self, name: str, record: str) -> dict[str, Any]:
        """One record as the mirror has it."""
        return await self._json("GET", _record(name, record))

    async def audits(self) -> protocol.Audits:
        """What audits run, and what audits, fingerprints and repairs found, newest first."""
        return decode(await self._request("GET", "/v1/audits"), protocol.Audits)

    async def why(self, name: str, record: str, *, ask_org: bool = True) -> dict[str, Any]:
        """Everything that touched a record; with `ask_org`, for one API call, also how the org shows it."""
        query = None if ask_org else {"org": "0"}
        return await self._json("GET", f"{_record(name, record)}/why", query=query)

    async def history(self, name: str, record: str, at: str | None = None) -> dict[str, Any]:
        """A record's past values; with `at`, as it was at that moment."""
        return await self._json("GET", f"{_record(name, record)}/history", query=_present(at=at))

    async def conditions(self, name: str, *, ask_org: bool = True) -> dict[str, Any]:
        """The fields whose change makes the package push; with `ask_org` read now, for one API call."""
        query = None if ask_org else {"org": "0"}
        return await self._json("GET", f"{_object(name)}/conditions", query=query)

    async def test_rule(self, name: str, since: str) -> protocol.RuleTest:
        """What a rule would have fired on since a moment, by the journal; nothing is sent."""
        path = f"/v1/rules/{quote(name, safe='')}/test"
        answer = await self._request("POST", path, body={"since": since}, patience=FOREVER)
        return decode(answer, protocol.RuleTest)

    async def package(self, *, look: bool = False) -> protocol.PackageDetails:
        """What is known of the Salesforce package; `look` asks the org first."""
        answer = await self._request("GET", "/v1/package", query={"look": "1"} if look else None)
        return decode(answer, protocol.PackageDetails)

    async def query(self, sql: str) -> dict[str, Any]:
        """Run a read-only SELECT on the mirror."""
        return await self._json("POST", "/v1/query", body={"sql": sql})

    async def get(self, path: str) -> bytes:
        """Any other document of the API, as it was sent."""
        return await self._request("GET", path)

    # -- acting ----------------------------------------------------------------------------------

    async def retry(self, dead_letter: int) -> dict[str, Any]:
        """Try a dead letter again."""
        return await self._json("POST", f"/v1/dead-letters/{dead_letter}/retry")

    async def drop(self, dead_letter: int) -> dict[str, Any]:
        """Give a dead letter up."""
        return await self._json("POST", f"/v1/dead-letters/{dead_letter}/drop")

    async def audit(
        self,
        name: str,
        *,
        full: bool = False,
        dry_run: bool = False,
        accept_missing: bool = False,
        wait: bool = False,
    ) -> dict[str, Any]:
        """Compare an object with the org and repair it; `dry_run` only prices, `wait` waits for the end.

        `accept_missing` goes with `full`: rows that the org does not show are deleted, however many.
        """
        return await self._json(
            "POST",
            f"{_object(name)}/audit",
            query={"wait": "1"} if wait else None,
            body={"full": full, "dry_run": dry_run} | ({"accept_missing": True} if accept_missing else {}),
            patience=FOREVER if wait else None,
        )

    async def repair(
        self,
        name: str,
        ids: Sequence[str] = (),
        *,
        fields: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Fetch records again: some by id, those stamped since a time, or some fields of all of them.

        `dry_run` only prices.
        """
        named: dict[str, Any] = {
            "ids": list(ids),
            "fields": list(fields),
            "since": since,
            "until": until,
            "dry_run": dry_run,
        }
        body = {key: value for key, value in named.items() if value}
        return await self._json("POST", f"{_object(name)}/repair", body=body, patience=FOREVER)

    async def verify(self, *, certify: bool = False) -> dict[str, Any]:
        """Verify the whole mirror, and wait for the end; `certify` adds a signed `certificate`."""
        return await self._json("POST", "/v1/verify", body={"certificate": certify}, patience=FOREVER)

    async def backup(self, keep: Callable[[bytes, int], None]) -> Mapping[str, str]:
        """Have a copy of the mirror made and `keep(piece, size of the whole)` it; return the headers with it.

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
        """How far the copy is that is being made."""
        return decode(await self._request("GET", "/v1/backup"), protocol.BackupProgress)

    async def pause(self, objects: Sequence[str] = ()) -> dict[str, Any]:
        """Stop applying changes of these objects, or of all."""
        return await self._json("POST", "/v1/pause", body={"objects": list(objects)})

    async def resume(self, objects: Sequence[str] = ()) -> dict[str, Any]:
        """The end of `pause`."""
        return await self._json("POST", "/v1/resume", body={"objects": list(objects)})

    async def set_package_disabled(self, *, disabled: bool) -> protocol.PackageDetails:
        """Switch the package off or on, for the whole org."""
        answer = await self._request("POST", f"/v1/package/{'disable' if disabled else 'enable'}")
        return decode(answer, protocol.PackageDetails)

    async def package_changed(self, calls: Mapping[str, int], *, look: bool) -> protocol.PackageDetails:
        """Have the daemon write down what was called beside it, and look at the package if it was changed."""
        body = {"calls": calls, "look": look}
        answer = await self._request("POST", "/v1/package/changed", body=body)
        return decode(answer, protocol.PackageDetails)

    async def reload(self) -> protocol.Reloaded:
        """Have the daemon read its configuration again. Raises ConfigError when that has mistakes."""
        return decode(await self._request("POST", "/v1/reload"), protocol.Reloaded)

    async def set_conditions(self, name: str, fields: Sequence[str]) -> dict[str, Any]:
        """Replace an object's sync conditions; none = any change pushes."""
        return await self._json("PUT", f"{_object(name)}/conditions", body={"fields": list(fields)})


def _present(**query: object) -> dict[str, str]:
    return {key: str(value) for key, value in query.items() if value is not None}


def _object(name: str) -> str:
    return f"/v1/objects/{quote(name, safe='')}"


def _record(name: str, record: str) -> str:
    return f"{_object(name)}/records/{quote(record, safe='')}"
