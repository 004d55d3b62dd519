"""Loading: describes and reads objects that are not in the mirror yet, and proves the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rtsd.core.backoff import FIRST_MS
from rtsd.core.instant import Millis, from_iso
from rtsd.core.object_state import ObjectState
from rtsd.core.server_clock import ServerClock
from rtsd.errors import (
    AuthenticationFailed,
    Conflict,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
)
from rtsd.services import Service
from rtsd.store import audits
from rtsd.store.database import Database
from rtsd.sync import object_states
from rtsd.sync.audit import StateAudit, needs_full_read
from rtsd.sync.catalog import Catalog
from rtsd.sync.checks import Checks
from rtsd.sync.columns import Columns
from rtsd.sync.describe import Describer
from rtsd.sync.indexing import build_indexes
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.unit_of_work import UnitsOfWork
from rtsd.sync.windows import Windows

DUE_CHECK_S = 5.0
"""Seconds between checks for due work; they cost no call."""
LOADS_AT_ONCE = 3
"""Objects loaded concurrently: while one waits for its job, another streams."""
LOG_PAUSE_MS: Millis = 5_000
"""The pause after a first failed proof for which only the delete log has to reach past a resume: it goes by
minutes (REST API guide, Get Deleted), and stops where a transaction runs."""
MAX_FAILED_PROOFS = 2
"""Failed proofs after which an object is read in full again; fewer may mean that rows are in flight."""
REFRESH_PAUSE_MS: Millis = 600_000
"""The pause before a failed refresh of formulas is retried."""


class Loader(Service):
    """Makes every object live, and refreshes its formulas."""

    name = "loading"

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        mode: ModeMachine,
        schedule: CurrentSchedule,
        audit: StateAudit,
        checks: Checks,
        columns: Columns,
        windows: Windows,
        describer: Describer,
        org: OrgIdentity,
    ) -> None:
        super().__init__()
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._mode = mode
        self._schedule = schedule
        self._audit = audit
        self._checks = checks
        self._columns = columns
        self._windows = windows
        self._describer = describer
        self._org = org
        self._under_way: set[str] = set()
        """Objects with a full read in progress."""
        self._requested: set[str] = set()
        """Objects whose initial audit an operator has requested."""
        mode.subscribe(lambda _before, _after: self.wake.set())

    async def step(self) -> float:
        """Describe, load and prove the objects that are due.

        Raises the errors that concern every object: OrgUnreachable, AuthenticationFailed and, from the
        describes, QuotaExhausted.
        """
        if self._mode.is_paused:
            return DUE_CHECK_S
        self._requested = await audits.requested(self._database)
        try:
            await self._org.identify()
            await self._describer.step()
        except QuotaExhausted as refusal:
            for mirrored in self._catalog:
                if not mirrored.loaded and self._may_be_loaded(mirrored):
                    await object_states.defer(self._work, mirrored, refusal)
            raise
        for mirrored in self._catalog:
            if mirrored.loaded and mirrored.table is not None:
                await build_indexes(self._database, mirrored, self._now())
        due = [mirrored for mirrored in self._catalog if self._is_due(mirrored)]
        places = asyncio.Semaphore(LOADS_AT_ONCE)
        errors = await asyncio.gather(*(self._load_one(mirrored, places) for mirrored in due))
        for error in errors:
            if error is not None:
                raise error
        await self._refresh_formulas()
        return DUE_CHECK_S

    def refuse_while_loading(self, mirrored: MirroredObject) -> None:
        """Raise Conflict while a full read of the object is in progress."""
        if mirrored.name in self._under_way or mirrored.loading is not None:
            raise Conflict(f"{mirrored.name} is being loaded", "wait until it is live")

    async def load(self, mirrored: MirroredObject, *, accept_missing: bool = False) -> None:
        """Run a state audit of an object now, at an operator's request.

        An interrupted initial audit resumes, even after a restart. Raises Conflict while the object is being
        loaded, and the errors of an audit.
        """
        self.refuse_while_loading(mirrored)
        with self._full_read(mirrored):
            if not mirrored.loaded:
                async with self._database.transaction() as tx:
                    await audits.request(tx, mirrored.name, self._now())
            await self._describer.require(mirrored)
            await self._audit.run(mirrored, accept_missing=accept_missing)

    @contextmanager
    def _full_read(self, mirrored: MirroredObject) -> Iterator[None]:
        self._under_way.add(mirrored.name)
        try:
            yield
        finally:
            self._under_way.discard(mirrored.name)

    async def _refresh_formulas(self) -> None:
        """Reread formulas that are due, as their values change without a new stamp on the record."""
        for mirrored in self._catalog:
            as_of, period = mirrored.stored.formulas_as_of, self._schedule().formula_refresh
            if mirrored.state is not ObjectState.LIVE or not period:
                continue
            if as_of is None or self._server_clock.now() - from_iso(as_of) < period:
                continue
            if mirrored.drifting and self._now() >= mirrored.retry.loads.not_before:
                try:
                    await self._columns.refresh(mirrored)
                except (OrgUnreachable, AuthenticationFailed, QuotaExhausted):
                    raise
                except SalesforceError as error:
                    mirrored.retry.loads.not_before = self._now() + REFRESH_PAUSE_MS
                    await self._describer.report_failure(mirrored, error)

    def _may_be_loaded(self, mirrored: MirroredObject) -> bool:
        """Return whether the initial audit is automatic, or an operator has requested it."""
        return self._schedule().initial_audit == "auto" or mirrored.name in self._requested

    def _is_due(self, mirrored: MirroredObject) -> bool:
        """Return whether the object must be loaded or proven, and the pause before a retry is over."""
        if mirrored.table is None or mirrored.state in (ObjectState.PAUSED, ObjectState.ERROR):
            return False
        if mirrored.name in self._under_way or self._now() < mirrored.retry.loads.not_before:
            return False
        if not mirrored.loaded:
            return self._may_be_loaded(mirrored)
        if mirrored.state is ObjectState.LIVE:
            return self._is_outdated(mirrored)
        return mirrored.state in (ObjectState.INCOMPLETE, ObjectState.PENDING, ObjectState.DEFERRED)

    async def _load_one(self, mirrored: MirroredObject, places: asyncio.Semaphore) -> SalesforceError | None:
        """Load or prove one object; return an error that concerns every object, and report any other."""
        async with places:
            try:
                await self._make_live(mirrored)
            except (OrgUnreachable, AuthenticationFailed) as error:
                return error
            except QuotaExhausted as error:
                await object_states.defer(self._work, mirrored, error)
                return None
            except SalesforceError as error:
                await self._describer.report_failure(mirrored, error)
            retry, live = mirrored.retry, mirrored.state is ObjectState.LIVE
            if live:
                retry.loads.succeeded()
            else:
                retry.loads.failed(self._now(), LOG_PAUSE_MS if retry.awaits_log else FIRST_MS)
            return None

    async def _make_live(self, mirrored: MirroredObject) -> None:
        """Make an object live in the cheapest way: by a proof, a fingerprint, or a full read.

        While the deletion guard holds, only compare counts: more would cost calls and show nothing new.
        """
        suspicions = mirrored.suspicions
        if mirrored.loaded and not suspicions.reread and not self._is_outdated(mirrored):
            if mirrored.unchecked:
                await self._columns.fill(mirrored)
                await self._windows.step(mirrored)
                await self._checks.check(mirrored)
            proven = await self._audit.prove(mirrored)
            is_hindered = mirrored.hindrance and mirrored.stored.error == mirrored.hindrance
            if proven or suspicions.vanished or mirrored.retry.awaits_log or is_hindered:
                return
            if mirrored.described.schema.cursor is not None:
                await self._checks.check(mirrored)
                settled = suspicions.vanished or await self._audit.prove(mirrored)
                if settled or mirrored.retry.loads.failures < MAX_FAILED_PROOFS:
                    return
        if mirrored.name not in self._under_way:  # an operator may have started one meanwhile
            with self._full_read(mirrored):
                await self._audit.run(mirrored)

    def _is_outdated(self, mirrored: MirroredObject) -> bool:
        """Return whether an object without stamps is due for a full read, which alone finds its changes."""
        if needs_full_read(mirrored):
            return True
        as_of, period = mirrored.stored.formulas_as_of, self._schedule().formula_refresh
        if mirrored.described.schema.cursor is not None or not period or as_of is None:
            return False
        return self._server_clock.now() - from_iso(as_of) >= period
