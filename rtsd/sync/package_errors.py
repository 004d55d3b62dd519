"""The package's error log in the org: what it could not push is read again here, and shown.

Rows of `RTS_Error__c` name the records of a push that was given up or never sent. They are asked for when a
heartbeat counts some, and otherwise once a describe period while error logging is on: one call each time.
The package deletes its rows after a month; where its heartbeat does not run, this does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import structlog

from rtsd.core.ids import full_id
from rtsd.core.instant import DAY_MS, Millis, from_iso, to_iso
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

KEPT_MS: Millis = 30 * DAY_MS
"""As long as the package itself keeps them."""
OVERLAP_MS: Millis = 900_000
"""A row's stamp is that of its transaction's beginning, and Apex runs for ten minutes at most."""
CODE = "PackageError"
"""What these errors are called in the error log."""
_KEY = "package errors"
_REASON = "the package could not push it"

log = structlog.get_logger("rtsd.package")


class _Kept(msgspec.Struct):
    """How far the error log was read; outlives a restart."""

    since: str
    seen: list[str] = []
    """Ids of rows behind `since` that were taken already."""


class PackageErrors:
    """Reads the package's error log, and deletes what is old."""

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
        """What the last heartbeat had counted when the rows were read."""
        self._purged_at: Millis = 0

    async def step(self, known: PackageState) -> int:
        """Read what is new, if that is due; return how many rows that were.

        Raises what the client raises.
        """
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
        if now - heartbeat_at < self._period:  # it tells how many there are: nothing else needs to be asked
            told = known.errors_24h and heartbeat_at > self._heartbeat_at
            return bool(told) and (known.errors_24h != self._counted or now - self._read_at >= self._period)
        logs = known.settings is not None and known.settings.error_logging is True
        return logs and now - self._read_at >= self._period

    async def _read(self) -> int:
        """Take every row since the last time; what was taken before is known by its id."""
        kept = await self._kept()
        rows = await package.read_errors(self._client, from_iso(kept.since))
        fresh = [row for row in rows if row.Id not in kept.seen]
        async with self._work.begin() as unit:
            for row in fresh:
                await self._take(unit, row)
            await meta.put(unit.tx, _KEY, _after(kept, rows))
        if fresh:
            log.warning("the package could not push", rows=len(fresh))
        return len(fresh)

    async def _kept(self) -> _Kept:
        text = await meta.get(self._database, _KEY)
        if text:
            return msgspec.json.decode(text, type=_Kept)
        return _Kept(to_iso(self._server_clock.now() - DAY_MS))  # as far back as heartbeats count

    async def _take(self, unit: UnitOfWork, row: ErrorRow) -> None:
        """Show one row, and have its records fetched."""
        ids, name = list(_ids(row.Record_Ids__c)), row.Object__c or ""
        status = f" (HTTP {row.HTTP_Status__c:.0f})" if row.HTTP_Status__c else ""
        reason = row.Message__c or "no reason was given"
        count = "1 record" if len(ids) == 1 else f"{len(ids)} records"
        message = f"The package could not push {count}{status}: {reason}"
        mirrored = self._catalog.find(name)
        if mirrored is not None:
            await unit.fetch(mirrored, ids, _REASON)
            if len(row.Record_Ids__c or "") >= package.MAX_ERROR_IDS:
                reason = "the package's error log has no room for all records it could not push"
                unit.on_commit(partial(mirrored.suspicions.suspect, reason))
        object_name = mirrored.name if mirrored else None
        await error_log.add(unit.tx, to_iso(self._now()), CODE, message, object_name)
        detail = {"error": CODE, "records": ids[:20], "attempt": row.Attempt__c, "row": row.Id}
        await unit.note(Note("error", object_name, message=message, detail=detail))

    async def _purge(self) -> None:
        """Delete rows that the package would have deleted by now."""
        gone = await package.delete_errors(self._client, self._server_clock.now() - KEPT_MS)
        if gone:
            message = f"{gone} old rows of RTS_Error__c deleted in the org"
            await self._work.note(Note("package", message=message, detail={"deleted": gone}))


def _after(kept: _Kept, rows: list[ErrorRow]) -> str:
    """Where to begin the next time, and what is known of there."""
    newest = max((from_iso(row.CreatedDate) for row in rows), default=from_iso(kept.since))
    since = max(newest - OVERLAP_MS, from_iso(kept.since))
    seen = [row.Id for row in rows if from_iso(row.CreatedDate) >= since // 1000 * 1000]
    return msgspec.json.encode(_Kept(to_iso(since), seen)).decode()


def _ids(text: str | None) -> Iterable[str]:
    """The ids of a row; the last of a text that was cut may be none."""
    for part in (text or "").split(","):
        try:
            yield full_id(part.strip())
        except ValueError:
            continue
