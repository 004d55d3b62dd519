"""Audits that operators ask for, their findings, and the verification of the whole mirror."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, body_of, is_on, object_of
from rtsd.control.pricing import Pricing, Spending
from rtsd.control.wire import event
from rtsd.core import certificate
from rtsd.core.instant import Millis, to_iso
from rtsd.core.object_state import ObjectState
from rtsd.core.quota import API_REQUESTS, BULK_JOBS
from rtsd.errors import RtsError
from rtsd.store import audits, journal, row_checksums
from rtsd.store.audits import AuditProgress
from rtsd.store.database import Database
from rtsd.store.journal import Journal
from rtsd.sync.audit import StateAudit
from rtsd.sync.catalog import Catalog
from rtsd.sync.checks import Checks
from rtsd.sync.describe import Describer, require_described
from rtsd.sync.loading import Loader
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.unit_of_work import UnitsOfWork
from rtsd.sync.verify import Verification, Verified, Verifier

MOST_LISTED = 1_000
"""Ids in one list of an answer; the counts are of all."""


@dataclass(frozen=True)
class Run:
    """An audit that was asked for."""

    number: int
    result: asyncio.Task[protocol.AuditResult]


class Audits:
    """Runs audits, one of an object at a time, and prices them."""

    def __init__(
        self,
        database: Database,
        work: UnitsOfWork,
        *,
        journal: Journal,
        now: Callable[[], Millis],
        pricing: Pricing,
        describer: Describer,
        loader: Loader,
        checks: Checks,
        state_audit: StateAudit,
    ) -> None:
        self._database = database
        self._work = work
        self._journal = journal
        self._now = now
        self._pricing = pricing
        self._describer = describer
        self._loader = loader
        self._checks = checks
        self._state_audit = state_audit
        self._runs = 0
        self._running: dict[str, Run] = {}

    def start(self, mirrored: MirroredObject, *, full: bool, accept_missing: bool = False) -> Run:
        """Begin an audit of one object, or join the one that runs."""
        running = self._running.get(mirrored.name)
        if running is not None and not running.result.done():
            return running
        self._runs += 1
        task = asyncio.create_task(
            self._run(mirrored, full=full, accept_missing=accept_missing), name=f"audit {mirrored.name}"
        )
        task.add_done_callback(_take_exception)
        run = Run(self._runs, task)
        self._running[mirrored.name] = run
        return run

    async def price(self, mirrored: MirroredObject, *, full: bool, ask_org: bool = True) -> protocol.Priced:
        """Price an audit by counts, or a full read. Raises Conflict, and the client's errors.

        Without `ask_org`, a full read is priced by the mirror's own size.
        """
        if not ask_org:
            require_described(mirrored)
            return await self._pricing.full_read(mirrored, ask_org=False)
        if not full and _has_fingerprint(mirrored):
            return await self._pricing.fingerprints([mirrored])
        await self._describer.require(mirrored)
        return await self._pricing.full_read(mirrored)

    async def price_all(self, objects: Iterable[MirroredObject]) -> protocol.Priced:
        """Price an audit by counts of every object that has a fingerprint, as a verification takes them."""
        return await self._pricing.fingerprints(filter(_has_fingerprint, objects))

    async def _run(
        self, mirrored: MirroredObject, *, full: bool, accept_missing: bool
    ) -> protocol.AuditResult:
        self._loader.refuse_while_loading(mirrored)
        began, seq = self._now(), self._journal.last_seq
        spending = await Spending.begin(self._database, began)
        try:
            if full or not mirrored.loaded:
                await self._loader.load(mirrored, accept_missing=accept_missing)
                checked = mirrored.stored.expected_rows or 0
            else:
                checked = (await self._checks.check(mirrored)).checked
                if mirrored.state is not ObjectState.LIVE:
                    await self._state_audit.prove(mirrored)
        except RtsError as error:
            await self._work.report(error, mirrored.name)
            raise
        spent = await spending.so_far()
        audited = await self._found_since(mirrored, seq)
        audited.checked = checked
        audited.api_calls, audited.bulk_jobs = spent[API_REQUESTS], spent[BULK_JOBS]
        audited.seconds = round((self._now() - began) / 1000, 3)
        return protocol.AuditResult(objects=[audited], api_calls=audited.api_calls)

    async def _found_since(self, mirrored: MirroredObject, seq: int) -> protocol.AuditedObject:
        """Return the corrections since an entry of the journal."""
        by_operation: dict[str, list[str]] = {"create": [], "update": [], "delete": [], "undelete": []}
        for operation, record_id in await journal.corrections(self._database, mirrored.name, seq):
            by_operation.setdefault(operation, []).append(record_id)
        missing = by_operation["create"] + by_operation["undelete"]
        stale, orphaned = by_operation["update"], by_operation["delete"]
        return protocol.AuditedObject(
            name=mirrored.name,
            state=mirrored.state.value,
            error=mirrored.stored.error,
            missing=missing[:MOST_LISTED],
            stale=stale[:MOST_LISTED],
            orphaned=orphaned[:MOST_LISTED],
            missing_count=len(missing),
            stale_count=len(stale),
            orphaned_count=len(orphaned),
            repaired=len(missing) + len(stale) + len(orphaned),
        )


class AuditRoutes:
    """Answers `/v1/objects/{o}/audit`, `/v1/audits` and `/v1/verify`."""

    def __init__(self, database: Database, catalog: Catalog, operations: Audits, verifier: Verifier) -> None:
        self._database = database
        self._catalog = catalog
        self._audits = operations
        self._verifier = verifier
        self._verifying = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/v1/objects/{object}/audit", self._audit),
            web.get("/v1/audits", self._list),
            web.post("/v1/verify", self._verify),
        ]

    async def _audit(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.AuditBody)
        mirrored = object_of(request, self._catalog)
        if body.dry_run:
            ask_org = is_on(request, "org", default=True)
            return answer(await self._audits.price(mirrored, full=body.full, ask_org=ask_org))
        run = self._audits.start(mirrored, full=body.full, accept_missing=body.accept_missing is True)
        if not is_on(request, "wait"):
            return answer(protocol.AuditStarted(run=run.number), status=202)
        return answer(await run.result)

    async def _list(self, _request: web.Request) -> web.Response:
        database = self._database
        return answer(
            protocol.Audits(
                running=[_running(progress) for progress in await audits.under_way(database)],
                verification=_verifying(self._verifier.checking),
                findings=[event(entry) for entry in await journal.findings(database)],
            )
        )

    async def _verify(self, request: web.Request) -> web.Response:
        """Verify the mirror, one request at a time, or price it."""
        body = await body_of(request, protocol.VerifyBody)
        if body.dry_run:
            return answer(await self._audits.price_all(self._catalog))
        async with self._verifying:
            found = await self._verifier.verify()
        shown = _verification(found)
        if body.certificate:
            shown.certificate = self._certify(shown)
        return answer(shown)

    def _certify(self, shown: protocol.Verification) -> msgspec.Raw:
        document = {"v": 1, **msgspec.to_builtins(shown)}
        return msgspec.Raw(msgspec.json.encode(certificate.sign(document, self._verifier.signing_key())))


def _has_fingerprint(mirrored: MirroredObject) -> bool:
    return mirrored.loaded and mirrored.described.schema.cursor is not None


def _running(audit: AuditProgress) -> protocol.RunningAudit:
    return protocol.RunningAudit(
        object=audit.object, started_at=to_iso(audit.started_at), rows_read=audit.rows_read, job=audit.job
    )


def _verifying(checking: tuple[str, row_checksums.Checked] | None) -> protocol.RunningVerification | None:
    if checking is None:
        return None
    name, checked = checking
    return protocol.RunningVerification(object=name, rows_checked=checked.rows)


def _verification(found: Verification) -> protocol.Verification:
    return protocol.Verification(
        ok=found.ok,
        at=to_iso(found.at),
        org=found.org,
        faults=found.faults,
        objects=[_verified(verified) for verified in found.objects],
    )


def _verified(found: Verified) -> protocol.VerifiedObject:
    drift = None
    if found.drift is not None:
        missing, stale, orphaned = found.drift
        drift = protocol.DriftCounts(missing=missing, stale=stale, orphaned=orphaned)
    return protocol.VerifiedObject(
        name=found.name,
        state=found.state,
        rows=found.rows,
        counted=found.counted,
        checksummed=found.checksummed,
        broken=found.broken[:MOST_LISTED],
        broken_count=len(found.broken),
        repaired=found.repaired,
        drift=drift,
        error=found.error,
        as_of=found.as_of,
        proven_at=found.proven_at,
        fingerprint=found.fingerprint,
    )


def _take_exception(task: asyncio.Task[protocol.AuditResult]) -> None:
    """A failed run was reported already; nobody else may be waiting for it."""
    if not task.cancelled():
        task.exception()
