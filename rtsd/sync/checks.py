"""Fingerprint checks of all objects, as often as configured, and the repair of their findings."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from rtsd.core.instant import Millis, from_iso
from rtsd.core.mode import Mode
from rtsd.core.object_state import ObjectState
from rtsd.errors import AuthenticationFailed, Conflict, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.services import Service
from rtsd.store import journal
from rtsd.store.database import Database
from rtsd.sync.catalog import Catalog
from rtsd.sync.describe import Describer
from rtsd.sync.fingerprint import Fingerprint, Fingerprinter
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.missed_pushes import MissedPushes
from rtsd.sync.mode import ModeMachine
from rtsd.sync.repair import Repair
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.unit_of_work import UnitsOfWork

DUE_CHECK_S = 5.0
"""Seconds between checks for due work; they cost no call."""
SUSPICION_PAUSE_MS: Millis = 600_000
"""Minimum time between two fingerprints of a suspected object."""

log = structlog.get_logger("rtsd.checks")


class Checks(Service):
    """Checks live objects when they are due, and any object on request."""

    name = "fingerprint"

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        mode: ModeMachine,
        schedule: CurrentSchedule,
        describer: Describer,
        fingerprinter: Fingerprinter,
        repair: Repair,
        missed_pushes: MissedPushes,
    ) -> None:
        super().__init__()
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._mode = mode
        self._schedule = schedule
        self._describer = describer
        self._fingerprinter = fingerprinter
        self._repair = repair
        self._missed_pushes = missed_pushes
        mode.subscribe(lambda _before, _after: self.wake.set())

    async def step(self) -> float:
        """Check the objects that are due, one at a time."""
        for mirrored in self._catalog:
            if self._is_due(mirrored):
                await self._try(mirrored)
        return DUE_CHECK_S

    async def _try(self, mirrored: MirroredObject) -> None:
        """Check one object; a failure that concerns no other is reported, and retried later."""
        backoff = mirrored.retry.checks
        try:
            await self.check(mirrored)
        except (OrgUnreachable, AuthenticationFailed, QuotaExhausted):
            raise
        except SalesforceError as error:
            backoff.failed(self._now())
            await self._describer.report_failure(mirrored, error)
        else:
            backoff.succeeded()

    def _is_due(self, mirrored: MirroredObject) -> bool:
        """Return whether an object is due for a check; the loader rereads objects without stamps instead."""
        period = self._schedule().fingerprint_every
        if not period or self._mode.mode in (Mode.PAUSED, Mode.UNREACHABLE):
            return False
        if mirrored.state is not ObjectState.LIVE or self._now() < mirrored.retry.checks.not_before:
            return False
        if mirrored.table is None or mirrored.table.schema.cursor is None:
            return False
        suspicions, checked_at = mirrored.suspicions, mirrored.stored.checked_at
        if checked_at is None or suspicions.check_now:
            return True
        pause = min(period, SUSPICION_PAUSE_MS) if suspicions.reason else period
        return self._now() >= from_iso(checked_at) + pause

    async def check(self, mirrored: MirroredObject) -> Fingerprint:
        """Fingerprint one object and repair the rows that differ; return the fingerprint's findings.

        Raises Conflict for an object without stamps, and the client's errors.
        """
        if mirrored.described.schema.cursor is None:
            raise Conflict(
                f"{mirrored.name} has no field that orders its versions, so it has no fingerprint",
                f"`rtsd audit {mirrored.name} --full` reads it again",
            )
        suspicions = mirrored.suspicions
        if suspicions.reason:
            log.info("early fingerprint", object=mirrored.name, reason=suspicions.reason)
        suspicions.reason = ""
        await self._repair.complete(mirrored)  # a provisional stamp would look like drift
        result = await self._fingerprinter.step(mirrored)
        if result.found or result.unsettled:
            seq = await journal.newest_seq(self._database)
            await self._repair.step()
            await self._fingerprinter.prove(mirrored, result)
            await self._fingerprinter.classify_drift(mirrored, result, seq)
        await self._missed_pushes.count()
        return result
