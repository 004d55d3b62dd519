"""The package's error log in the org: reports failed pushes, and fetches their records.

Rows of `RTS_Error__c` name the records of a push that was abandoned or never sent. They are read if a
heartbeat counts any, and otherwise once per describe period while error logging is on, in one call. The
package deletes its rows after a month; this module does so where its heartbeat does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import structlog

from rtsd.core.ids import full_id
from rtsd.core.instant import DAY_MS, Millis, from_iso, to_iso
from rtsd.core.plural import plural
from rtsd.core.server_clock import ServerClock
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.salesforce.package import ErrorRow
from rtsd.store import error_log, meta
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.package import PackageState
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

RETENTION_MS: Millis = 30 * DAY_MS
"""The age at which rows are deleted, as the package itself does."""
OVERLAP_MS: Millis = 900_000
"""The time read again: a row has the time of its transaction's start, and Apex runs for up to ten minutes."""
CODE = "PackageError"
"""The code of these errors in the error log."""
_KEY = "package errors"
_REASON = "the package could not push it"

log = structlog.get_logger("rtsd.package")


class _Position(msgspec.Struct):
    """How far the error log was read; survives a restart."""

    since: str
    seen: list[str] = []
    """Ids of rows from `since` on that were processed already."""


class PackageErrors:
    """Reads the package's error log, and deletes its old rows."""

    def __init__(
        self,
        client: Client,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        period_ms: Millis,
    ) -> None:
        self._client = client
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._period = period_ms
        self._read_at: Millis = 0
        self._heartbeat_at: Millis = 0
        self._counted: int | None = None
        """The last heartbeat's count when the rows were read."""
        self._purged_at: Millis = 0

    async def step(self, known: PackageState) -> int:
        """Read new rows if that is due; return their number. Raises the client's errors."""
        now = self._now()
        if not self._is_due(known, now):
            return 0
        self._read_at, self._heartbeat_at = now, known.heartbeat_at or 0
        self._counted = known.errors_24h
        found = await self._read()
        if now - self._purged_at >= DAY_MS:
            self._purged_at = now
            await self._purge()
        return found

    def _is_due(self, known: PackageState, now: Millis) -> bool:
        if known.state != "installed":
            return False
        heartbeat_at = known.heartbeat_at or 0
        if now - heartbeat_at < self._period:  # read only if a new heartbeat has counted any
            counted = known.errors_24h and heartbeat_at > self._heartbeat_at
            is_new = known.errors_24h != self._counted or now - self._read_at >= self._period
            return bool(counted) and is_new
        logs = known.settings is not None and known.settings.error_logging is True
        return logs and now - self._read_at >= self._period

    async def _read(self) -> int:
        """Process the rows that are new since the last read; return their number."""
        position = await self._position()
        rows = await package.read_errors(self._client, from_iso(position.since))
        new = [row for row in rows if row.Id not in position.seen]
        async with self._work.begin() as unit:
            for row in new:
                await self._process(unit, row)
            await meta.put(unit.tx, _KEY, _after(position, rows))
        if new:
            log.warning("the package could not push", rows=len(new))
        return len(new)

    async def _position(self) -> _Position:
        text = await meta.get(self._database, _KEY)
        if text:
            return msgspec.json.decode(text, type=_Position)
        return _Position(to_iso(self._server_clock.now() - DAY_MS))  # heartbeats count the last 24 hours

    async def _process(self, unit: UnitOfWork, row: ErrorRow) -> None:
        """Report one row, and request its records."""
        ids, name = list(_ids(row.Record_Ids__c)), row.Object__c or ""
        status = f" (HTTP {row.HTTP_Status__c:.0f})" if row.HTTP_Status__c else ""
        reason = row.Message__c or "no reason was given"
        count = plural(len(ids), "record")
        message = f"The package could not push {count}{status}: {reason}"
        mirrored = self._catalog.find(name)
        if mirrored is not None:
            await unit.fetch(mirrored, ids, _REASON)
            if len(row.Record_Ids__c or "") >= package.MAX_ERROR_IDS:
                reason = "the package's error log has no room for all records that it could not push"
                unit.on_commit(partial(mirrored.suspicions.suspect, reason))
        object_name = mirrored.name if mirrored else None
        await error_log.add(unit.tx, to_iso(self._now()), CODE, message, object_name)
        detail = {"error": CODE, "records": ids[:20], "attempt": row.Attempt__c, "row": row.Id}
        await unit.note(Note("error", object_name, message=message, detail=detail))

    async def _purge(self) -> None:
        """Delete rows that the package would have deleted by now."""
        deleted = await package.delete_errors(self._client, self._server_clock.now() - RETENTION_MS)
        if deleted:
            message = f"{deleted} old rows of RTS_Error__c deleted in the org"
            await self._work.note(Note("package", message=message, detail={"deleted": deleted}))


def _after(position: _Position, rows: list[ErrorRow]) -> str:
    """Return the position after reading `rows`, as JSON."""
    newest = max((from_iso(row.CreatedDate) for row in rows), default=from_iso(position.since))
    since = max(newest - OVERLAP_MS, from_iso(position.since))
    seen = [row.Id for row in rows if from_iso(row.CreatedDate) >= since // 1000 * 1000]
    return msgspec.json.encode(_Position(to_iso(since), seen)).decode()


def _ids(text: str | None) -> Iterable[str]:
    """Yield the ids of a row, skipping a truncated last one."""
    for part in (text or "").split(","):
        try:
            yield full_id(part.strip())
        except ValueError:
            continue
