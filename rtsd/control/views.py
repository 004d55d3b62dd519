"""What the control API shows: facts of the engine and the store, as wire types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rtsd import __version__
from rtsd.control import protocol
from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.core.percentile import percentiles
from rtsd.store import audits, dead_letters, error_log, inbox, journal, objects, quota
from rtsd.store.audits import AuditProgress
from rtsd.store.journal import Entry
from rtsd.store.objects import ObjectState
from rtsd.store.quota import Usage
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.controller import Controller
from rtsd.sync.engine import Engine
from rtsd.sync.ledger import Standing, StoredLedger

HISTORY_MS: Millis = 7 * DAY_MS
PURPOSES = ("audit", "interval", "repair", "describe", "package")
"""What calls are spent on, shown also while it is nothing (contract section 5)."""


@dataclass
class Views:
    """Everything status is made of."""

    engine: Engine
    controller: Controller
    ledger: StoredLedger
    gateway: protocol.Gateway
    started_at: Millis

    async def status(self) -> protocol.Status:
        """`GET /v1/status`."""
        engine, controller = self.engine, self.controller
        now = engine.now()
        database = engine.database
        counts = await objects.row_counts(database)
        return protocol.Status(
            version=__version__,
            started_at=to_iso(self.started_at),
            now=to_iso(now),
            org=self._org(),
            gateway=self.gateway,
            mode=controller.mode.value,
            mode_since=to_iso(controller.mode_since),
            mode_reason=controller.mode_reason,
            package=self._package(),
            push=await self._push(now),
            objects=[_object(mirrored, counts.get(mirrored.name, 0), now) for mirrored in engine.catalog],
            quota=await self._quota(now),
            inbox=protocol.Inbox(pending=await inbox.count_pending(database)),
            dead_letters=await dead_letters.count(database),
            errors_24h=await error_log.count_since(database, to_iso(now - DAY_MS)),
            storage=f"error: {database.failure}" if database.failure else "ok",
            last_seq=await journal.newest_seq(database),
        )

    async def quota_history(self) -> protocol.QuotaHistory:
        """`GET /v1/quota/history`."""
        database, since = self.engine.database, self.engine.now() - HISTORY_MS
        return protocol.QuotaHistory(
            hours=[_calls(*one) for one in await quota.spent_by_hour(database, since)],
            usage=[_sample(one) for one in await quota.usage(database, since)],
        )

    async def audits(self) -> protocol.Audits:
        """`GET /v1/audits`."""
        database = self.engine.database
        return protocol.Audits(
            running=[_running(one) for one in await audits.under_way(database)],
            findings=[event(entry) for entry in await journal.findings(database)],
        )

    def _org(self) -> protocol.Org:
        facts = self.controller.org.facts
        return protocol.Org(
            id=self.engine.org_id,
            name=facts.name,
            instance_url=facts.instance_url,
            sandbox=facts.sandbox,
            edition=facts.edition,
            apex=facts.apex,
            user=facts.user,
            reachable=self.controller.unreachable is None if self.engine.org_id else None,
            error=self.controller.unreachable,
        )

    def _package(self) -> protocol.Package:
        watch = self.controller.package
        if watch is None:
            return protocol.Package()
        known = watch.known
        return protocol.Package(
            state=known.state,
            version=known.version,
            disabled=known.disabled,
            last_seen_at=_iso(known.last_seen_at),
            problems=[protocol.Problem(what=one.what, do=one.do) for one in watch.problems()],
            next_look_at=_iso(watch.next_look_at),
        )

    async def _push(self, now: Millis) -> protocol.Push:
        push = self.controller.push
        return protocol.Push(
            last_at=_iso(push.last_at),
            last_heartbeat_at=_iso(push.last_heartbeat_at),
            quiet=push.quiet.value,
            quiet_proof=push.quiet_proof,
            received_24h=await inbox.count_since(self.engine.database, now - DAY_MS),
            rejected_24h=push.rejected,
            missed_24h=self.controller.silence.missed_24h(),
        )

    async def _quota(self, now: Millis) -> protocol.Quota:
        spent = await quota.spent_by_purpose(self.engine.database, now - DAY_MS)
        return protocol.Quota(
            limits=[_limit(standing) for standing in await self.ledger.standings()],
            calls_24h=dict.fromkeys(PURPOSES, 0) | spent,
        )


def _calls(at: Millis, purpose: str, calls: int) -> protocol.HourlyCalls:
    return protocol.HourlyCalls(at=to_iso(at), purpose=purpose, calls=calls)


def _sample(usage: Usage) -> protocol.UsageSample:
    return protocol.UsageSample(
        at=to_iso(usage.at), name=usage.name, max=usage.max, used=usage.used, used_by_us=usage.ours
    )


def _running(audit: AuditProgress) -> protocol.RunningAudit:
    return protocol.RunningAudit(
        object=audit.object, started_at=to_iso(audit.started_at), rows_read=audit.rows_read, job=audit.job
    )


def _limit(standing: Standing) -> protocol.Limit:
    usage = standing.usage
    return protocol.Limit(
        name=usage.name,
        max=usage.max,
        remaining=usage.max - usage.used,
        used_by_us=usage.ours,
        used_by_others=usage.used - usage.ours,
        exhausted_at=_iso(standing.runs_out_at),
    )


def event(entry: Entry) -> protocol.Event:
    """One journal entry for the wire."""
    note = entry.note
    return protocol.Event(
        seq=entry.seq,
        at=entry.at,
        type=note.type,
        object=note.object,
        id=note.id,
        op=note.op,
        source=note.source,
        outcome=note.outcome,
        changed=list(note.changed) if note.changed is not None else None,
        latency_ms=note.latency_ms,
        message=note.message,
        detail=dict(note.detail) if note.detail is not None else None,
    )


def _object(mirrored: MirroredObject, rows: int, now: Millis) -> protocol.Object:
    paused = mirrored.paused and mirrored.state is ObjectState.LIVE
    state = ObjectState.PAUSED if paused else mirrored.state
    shown = protocol.Object(
        name=mirrored.name,
        state=state.value,
        rows=rows,
        expected_rows=mirrored.expected_rows,
        where=mirrored.config.where or None,
        progress=_progress(mirrored, rows),
        as_of=mirrored.as_of,
        freshness_ms=_freshness(late for _, late in mirrored.latencies),
        freshness_by_source=_by_source(mirrored),
        drift=_drift(mirrored),
        error=mirrored.error,
        last_change_at=mirrored.last_change_at,
        formulas_as_of=mirrored.formulas_as_of,
    )
    if mirrored.state is ObjectState.DEFERRED and mirrored.deferred is not None:
        shown.goes_on_at = _iso(mirrored.deferred.why.goes_on_at)
    loading = mirrored.loading
    if loading is not None and mirrored.expected_rows is not None:
        shown.progress = min(loading.rows / max(mirrored.expected_rows, 1), 1.0)
        shown.rate = round(loading.rate(now), 1)
        if shown.rate:
            shown.eta_s = round(max(mirrored.expected_rows - loading.rows, 0) / shown.rate, 1)
    return shown


def _progress(mirrored: MirroredObject, rows: int) -> float:
    """How much of the initial audit is done; it stays while that waits."""
    if mirrored.loaded or not mirrored.expected_rows:
        return 1.0 if mirrored.loaded else 0.0
    return min(rows / mirrored.expected_rows, 1.0)


def _drift(mirrored: MirroredObject) -> protocol.Drift | None:
    if mirrored.drift is None:
        return None
    missing, stale, orphaned = mirrored.drift
    return protocol.Drift(
        checked_at=mirrored.checked_at,
        missing=missing,
        stale=stale,
        orphaned=orphaned,
        held_back=mirrored.held_back,
    )


def _by_source(mirrored: MirroredObject) -> dict[str, protocol.Freshness]:
    found = {
        source.value: _freshness(late for other, late in mirrored.latencies if other is source)
        for source in {source for source, _ in mirrored.latencies}
    }
    return {name: freshness for name, freshness in sorted(found.items()) if freshness}


def _freshness(latencies: Iterable[Millis]) -> protocol.Freshness | None:
    found = percentiles(latencies, (50, 95, 99))
    return protocol.Freshness(p50=found[0], p95=found[1], p99=found[2]) if found else None


def _iso(moment: Millis | None) -> str | None:
    return to_iso(moment) if moment is not None else None
