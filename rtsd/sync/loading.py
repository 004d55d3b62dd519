"""Loading: what is not there yet is described and read, what is there is proven, by the cheapest way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rtsd.core.backoff import pause_ms
from rtsd.core.instant import Millis, from_iso
from rtsd.errors import (
    AuthenticationFailed,
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
)
from rtsd.store.objects import ObjectState
from rtsd.sync.audit import StateAudit
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.columns import Columns
from rtsd.sync.deferral import defer
from rtsd.sync.describe import Describer
from rtsd.sync.engine import Engine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.schedule import Schedule

LOOK_S = 5.0
"""How often it is looked whether something is due; looking costs nothing."""
LOADS_AT_ONCE = 3
"""Objects loaded side by side: while one waits for its job, another streams."""
PATIENCE = 2
"""So many proofs may fail before an object is read whole again: rows may be on their way."""
REFRESH_PAUSE_MS: Millis = 600_000
"""Before formulas that could not be read are tried again."""


class Loader:
    """Brings every object to live, and keeps its formulas fresh."""

    def __init__(
        self,
        engine: Engine,
        schedule: Callable[[], Schedule],
        *,
        audit: StateAudit,
        columns: Columns,
        describer: Describer,
        org: OrgIdentity,
        check: Callable[[MirroredObject], Awaitable[object]],
    ) -> None:
        self._engine = engine
        self._schedule = schedule
        self._audit = audit
        self._columns = columns
        self._describer = describer
        self._org = org
        self._check = check

    async def step(self) -> float:
        """Describe, load and prove what is due; return how long to wait until the next look, in seconds.

        Raises what everybody has to know of: a lost org, and what the limits hold back.
        """
        try:
            await self._org.learn()
            await self._describer.step()
        except QuotaExhausted as refusal:
            for mirrored in self._engine.catalog:
                if not mirrored.loaded and (self._schedule().initial_audit == "auto" or mirrored.load_wanted):
                    await defer(self._engine, mirrored, refusal)
            raise
        due = [mirrored for mirrored in self._engine.catalog if self._is_due(mirrored)]
        places = asyncio.Semaphore(LOADS_AT_ONCE)
        lost = await asyncio.gather(*(self._load_one(mirrored, places) for mirrored in due))
        for error in lost:
            if error is not None:
                raise error
        await self._refresh_formulas()
        return LOOK_S

    async def _refresh_formulas(self) -> None:
        """A formula's value changes without the record's stamp moving: it is read again every so often."""
        for mirrored in self._engine.catalog:
            as_of, period = mirrored.formulas_as_of, self._schedule().formula_refresh
            if mirrored.state is not ObjectState.LIVE or not period or mirrored.paused:
                continue
            if as_of is None or self._engine.salesforce_now() - from_iso(as_of) < period:
                continue
            if mirrored.drifting and self._engine.now() >= mirrored.retry_at:
                try:
                    await self._columns.refresh(mirrored)
                except (OrgUnreachable, AuthenticationFailed, QuotaExhausted):
                    raise
                except SalesforceError as error:
                    mirrored.retry_at = self._engine.now() + REFRESH_PAUSE_MS
                    await self.failed(mirrored, error)

    def _is_due(self, mirrored: MirroredObject) -> bool:
        """Whether the object has to be loaded or proven, and may be tried again by now."""
        if mirrored.paused or mirrored.table is None or self._engine.now() < mirrored.retry_at:
            return False
        if not mirrored.loaded:
            return self._schedule().initial_audit == "auto" or mirrored.load_wanted
        if mirrored.state is ObjectState.LIVE:
            return self._is_outdated(mirrored)
        return mirrored.state in (ObjectState.INCOMPLETE, ObjectState.PENDING, ObjectState.DEFERRED)

    async def _load_one(self, mirrored: MirroredObject, places: asyncio.Semaphore) -> SalesforceError | None:
        """Load or prove one object. A failure of its own is its own; a lost org is everybody's."""
        async with places:
            try:
                await self._bring_up(mirrored)
            except (OrgUnreachable, AuthenticationFailed) as error:
                return error
            except QuotaExhausted as error:
                await defer(self._engine, mirrored, error)
                return None
            except SalesforceError as error:
                await self.failed(mirrored, error)
            mirrored.failures = 0 if mirrored.state is ObjectState.LIVE else mirrored.failures + 1
            mirrored.retry_at = self._engine.now() + pause_ms(mirrored.failures) if mirrored.failures else 0
            return None

    async def _bring_up(self, mirrored: MirroredObject) -> None:
        """Make an object live by the cheapest way there is: proof, fingerprint, or a full read.

        Of an object whose rows have vanished only counts are looked at: more would cost, and tell nothing.
        """
        if mirrored.loaded and not mirrored.reread and not self._is_outdated(mirrored):
            if await self._audit.prove(mirrored) or mirrored.vanished:
                return
            if mirrored.described.schema.cursor is not None:
                await self._check(mirrored)
                if mirrored.vanished or await self._audit.prove(mirrored) or mirrored.failures < PATIENCE:
                    return
        await self._audit.run(mirrored)

    def _is_outdated(self, mirrored: MirroredObject) -> bool:
        """Whether an object without any stamp is to be read whole again: nothing else shows its changes."""
        as_of, period = mirrored.formulas_as_of, self._schedule().formula_refresh
        if mirrored.described.schema.cursor is not None or not period or as_of is None:
            return False
        return self._engine.salesforce_now() - from_iso(as_of) >= period

    async def failed(self, mirrored: MirroredObject, error: SalesforceError) -> None:
        """Show that an object could not be read; where a field or the object is gone, describe it again."""
        await self._engine.report(error, mirrored.name)
        if isinstance(error, ObjectUnavailable):
            await self._describer.describe_for_push(mirrored)
