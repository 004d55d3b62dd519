"""What the control API shows: facts of the engine and the store, as wire types."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd import __version__
from rtsd.control import protocol
from rtsd.core.instant import Millis, to_iso
from rtsd.core.percentile import percentiles
from rtsd.salesforce.ledger import API_REQUESTS
from rtsd.store import dead_letters, error_log, inbox, objects, quota
from rtsd.store.journal import Entry
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import Mirrored
from rtsd.sync.controller import Controller
from rtsd.sync.engine import Engine
from rtsd.sync.ledger import StoredLedger

DAY_MS: Millis = 24 * 3_600_000


@dataclass
class Views:
    """Everything status is made of."""

    engine: Engine
    controller: Controller
    ledger: StoredLedger
    org: protocol.Org
    gateway: protocol.Gateway
    started_at: Millis

    async def status(self) -> protocol.Status:
        """`GET /v1/status`."""
        engine, controller = self.engine, self.controller
        now = engine.now()
        database = engine.database
        counts = await objects.row_counts(database)
        self.org.reachable = controller.unreachable is None if self.org.id else None
        self.org.error = controller.unreachable
        return protocol.Status(
            version=__version__,
            started_at=to_iso(self.started_at),
            now=to_iso(now),
            org=self.org,
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
            last_seq=engine.journal.last_seq,
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
        )

    async def _push(self, now: Millis) -> protocol.Push:
        push = self.controller.push
        return protocol.Push(
            last_at=_iso(push.last_at),
            last_heartbeat_at=_iso(push.last_heartbeat_at),
            quiet=push.quiet,
            quiet_proof=push.quiet_proof,
            received_24h=await inbox.count_since(self.engine.database, now - DAY_MS),
            rejected_24h=push.rejected,
        )

    async def _quota(self, now: Millis) -> protocol.Quota:
        database = self.engine.database
        ours = await quota.spent_by_resource(database, now - DAY_MS)
        limits = {record.name: (record.max, record.remaining) for record in await quota.limits(database)}
        if self.ledger.used is not None:
            used, highest = self.ledger.used
            limits[API_REQUESTS] = (highest, highest - used)
        return protocol.Quota(
            limits=[
                protocol.Limit(
                    name=name,
                    max=highest,
                    remaining=remaining,
                    used_by_us=ours.get(name, 0),
                    used_by_others=max(highest - remaining - ours.get(name, 0), 0),
                )
                for name, (highest, remaining) in sorted(limits.items())
            ],
            calls_24h=await quota.spent_by_purpose(database, now - DAY_MS),
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


def _object(mirrored: Mirrored, rows: int, now: Millis) -> protocol.Object:
    paused = mirrored.paused and mirrored.state is ObjectState.LIVE
    state = ObjectState.PAUSED if paused else mirrored.state
    shown = protocol.Object(
        name=mirrored.name,
        state=state.value,
        rows=rows,
        expected_rows=mirrored.expected_rows,
        progress=1.0 if mirrored.loaded else 0.0,
        as_of=mirrored.as_of,
        freshness_ms=_freshness(mirrored),
        drift=_drift(mirrored),
        error=mirrored.error,
        last_change_at=mirrored.last_change_at,
        formulas_as_of=mirrored.formulas_as_of,
    )
    loading = mirrored.loading
    if loading is not None and mirrored.expected_rows is not None:
        shown.progress = min(loading.rows / max(mirrored.expected_rows, 1), 1.0)
        shown.rate = round(loading.rate(now), 1)
        if shown.rate:
            shown.eta_s = round(max(mirrored.expected_rows - loading.rows, 0) / shown.rate, 1)
    return shown


def _drift(mirrored: Mirrored) -> protocol.Drift | None:
    if mirrored.drift is None:
        return None
    missing, stale, orphaned = mirrored.drift
    return protocol.Drift(checked_at=mirrored.checked_at, missing=missing, stale=stale, orphaned=orphaned)


def _freshness(mirrored: Mirrored) -> protocol.Freshness | None:
    found = percentiles(mirrored.latencies, (50, 95, 99))
    return protocol.Freshness(p50=found[0], p95=found[1], p99=found[2]) if found else None


def _iso(moment: Millis | None) -> str | None:
    return to_iso(moment) if moment is not None else None
