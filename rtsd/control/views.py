"""Status and journal entries as wire types, from what the sync and the store know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rtsd import __version__
from rtsd.control import protocol
from rtsd.control.nodes import seen_nodes
from rtsd.control.wire import iso, problems, relay
from rtsd.core.instant import MINUTE_MS, Millis, to_iso
from rtsd.core.mode import Mode
from rtsd.core.percentile import percentiles
from rtsd.core.quota import API_REQUESTS, DELIVERIES
from rtsd.store import journal, objects
from rtsd.store.database import Database
from rtsd.store.engine import Lease
from rtsd.store.inbox import Inbox
from rtsd.store.objects import StoredObject
from rtsd.store.quota import Usage
from rtsd.sync.catalog import Catalog
from rtsd.sync.estimate import IdleDay
from rtsd.sync.freshness import Latency
from rtsd.sync.ledger import LimitForecast, StoredLedger
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.missed_pushes import MissedPushes, PushActivity
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.package import PackageWatch
from rtsd.sync.privacy_change import Applied
from rtsd.sync.reachability import Reachability
from rtsd.sync.schedule import CurrentSchedule

PURPOSES = ("audit", "interval", "repair", "describe", "package")
"""Purposes of calls that are shown even if nothing was spent on them (contract section 5)."""


@dataclass
class Views:
    """Makes the status out of the parts that know its facts."""

    database: Database
    inbox: Inbox
    catalog: Catalog
    now: Callable[[], Millis]
    mode: ModeMachine
    schedule: CurrentSchedule
    reachability: Reachability
    org: OrgIdentity
    push: PushActivity
    missed_pushes: MissedPushes
    package: PackageWatch | None
    channel: str
    uncovered: Callable[[], Collection[str]]
    """Returns the names of the objects whose changes nothing pushes."""
    ledger: StoredLedger
    gateway: Callable[[], protocol.Gateway]
    rejected: Callable[[], int]
    stream: Callable[[], protocol.Stream | None]
    """The subscription, of a channel that has one."""
    streams: Callable[[], Awaitable[list[protocol.PublishedStream]]]
    """The streams that changes are published to."""
    started_at: Millis
    lease: Lease | None
    store: Callable[[], Awaitable[protocol.Store]]
    idle_day: Callable[[Mapping[str, int]], IdleDay]
    """Estimates a day without changes, of objects with these numbers of rows."""
    privacy: Sequence[Applied]
    """The changes of privacy that this start has applied."""
    needs_restart: Callable[[], list[str]] = list
    """Returns the tables of the configuration with changes that only a restart applies."""

    async def status(self) -> protocol.Status:
        """Return the status as of now."""
        now, database, mode = self.now(), self.database, self.mode
        counts, failure = database.counts, database.failure or self.inbox.file.failure
        rows, nodes = await objects.row_counts(database), await seen_nodes(self.lease)
        return protocol.Status(
            version=__version__,
            started_at=to_iso(self.started_at),
            now=to_iso(now),
            org=self._org(),
            gateway=self.gateway(),
            mode=mode.mode.value,
            mode_since=to_iso(mode.since),
            mode_reason=mode.reason,
            fresh_goal_ms=self.schedule().fresh_goal,
            fresh_now_ms=self._fresh_now(now),
            package=self._package(),
            push=self._push(now, nodes),
            objects=self._objects(rows, now),
            quota=await self._quota(now, rows),
            inbox=protocol.Inbox(pending=self.inbox.pending + counts.held),
            dead_letters=counts.dead_letters,
            errors_24h=counts.errors.last_day(now),
            storage=f"error: {failure}" if failure else "ok",
            needs_restart=self.needs_restart(),
            store=await self.store(),
            privacy=[
                protocol.PrivacyChange(object=applied.object, message=applied.message)
                for applied in self.privacy
            ],
            node=self._node(),
            nodes=nodes,
            streams=await self.streams(),
            last_seq=await journal.newest_seq(database),
        )

    def _node(self) -> protocol.Node | None:
        if self.lease is None:
            return None
        node = self.lease.node
        return protocol.Node(
            name=node.name, leader=True, leader_name=node.name, epoch=node.epoch, since=node.since
        )

    def _fresh_now(self, now: Millis) -> int | None:
        """Return how long the changes of the last minute took, in the median; None without any."""
        newest = [late for mirrored in self.catalog for _, late in mirrored.freshness.since(now - MINUTE_MS)]
        found = percentiles(newest, (50,))
        return found[0] if found else None

    def _objects(self, rows: Mapping[str, int], now: Millis) -> list[protocol.Object]:
        pushed = self.mode.mode is Mode.REAL_TIME
        unpushed = set(self.uncovered()) if pushed else set()
        found = []
        for mirrored in self.catalog:
            shown = _object(mirrored, rows.get(mirrored.name, 0), now)
            shown.arrives_by = "push" if pushed and mirrored.name not in unpushed else "interval"
            found.append(shown)
        return found

    def _org(self) -> protocol.Org:
        facts = self.org.facts
        return protocol.Org(
            id=self.org.id,
            name=facts.name,
            instance_url=facts.instance_url,
            sandbox=facts.sandbox,
            edition=facts.edition,
            apex=facts.apex,
            user=facts.user,
            reachable=self.reachability.error is None if self.org.id else None,
            error=self.reachability.error,
        )

    def _package(self) -> protocol.Package:
        watch = self.package
        if watch is None:
            return protocol.Package()
        known = watch.known
        return protocol.Package(
            state=known.state,
            version=known.version,
            disabled=known.disabled,
            last_seen_at=iso(known.last_seen_at),
            problems=problems(watch.problems()),
            relay=relay(known),
            next_probe_at=iso(watch.next_probe_at),
        )

    def _push(self, now: Millis, nodes: Sequence[protocol.SeenNode]) -> protocol.Push:
        push = self.push
        own = None if self.lease is None else self.lease.node.name
        return protocol.Push(
            channel=self.channel,
            stream=self.stream(),
            last_at=iso(push.last_at),
            last_heartbeat_at=iso(push.last_heartbeat_at),
            quiet=push.quiet.value,
            quiet_proof=push.quiet_proof,
            received_24h=self.inbox.received.last_day(now),
            rejected_24h=self.rejected() + sum(node.refused.count for node in nodes if node.name != own),
            missed_24h=self.missed_pushes.missed_24h(),
        )

    async def _quota(self, now: Millis, rows: Mapping[str, int]) -> protocol.Quota:
        spent = self.database.counts.calls_by_purpose(API_REQUESTS, now)
        return protocol.Quota(
            limits=[
                _limit(forecast, self._stops_at(forecast.usage)) for forecast in await self.ledger.forecasts()
            ],
            calls_24h=dict.fromkeys(PURPOSES, 0) | spent,
            idle_day=msgspec.convert(self.idle_day(rows), protocol.IdleDay, from_attributes=True),
        )

    def _stops_at(self, usage: Usage) -> int | None:
        """Return the use at which rtsd stops: by the reserve, or for deliveries by their own share."""
        stream = self.stream() if usage.name == DELIVERIES else None
        return self.ledger.stops_at(usage.name, usage.max) if stream is None else stream.deliveries_stop_at


def _limit(forecast: LimitForecast, stops_at: int | None) -> protocol.Limit:
    usage = forecast.usage
    return protocol.Limit(
        name=usage.name,
        max=usage.max,
        remaining=usage.max - usage.used,
        used_by_us=usage.ours,
        used_by_others=usage.used - usage.ours,
        exhausted_at=iso(forecast.runs_out_at),
        stops_at=stops_at,
        reached_at=iso(forecast.reaches(stops_at)) if stops_at is not None else None,
        measured_s=forecast.measured / 1000,
    )


def _object(mirrored: MirroredObject, rows: int, now: Millis) -> protocol.Object:
    stored, freshness = mirrored.stored, mirrored.freshness
    latencies = freshness.shown(now)
    shown = protocol.Object(
        name=mirrored.name,
        state=stored.state.value,
        rows=rows,
        expected_rows=stored.expected_rows,
        counted_at=_counted_at(stored),
        where=mirrored.config.where or None,
        progress=_progress(mirrored, rows),
        as_of=stored.as_of,
        proven_at=iso(stored.proven_at or None),
        freshness_ms=_freshness(late for _, late in latencies),
        freshness_by_source=_by_source(latencies),
        drift=_drift(mirrored),
        error=stored.error,
        locked_by=mirrored.locked or None,
        last_change_at=freshness.last_change_at,
        formulas_as_of=stored.formulas_as_of,
    )
    if mirrored.deferred is not None:
        shown.goes_on_at = iso(mirrored.deferred.why.goes_on_at)
    loading = mirrored.loading
    if loading is not None and stored.expected_rows is not None:
        shown.progress = min(loading.rows / max(stored.expected_rows, 1), 1.0)
        shown.rate = round(loading.rate(loading.rows, now), 1)
        if shown.rate:
            shown.eta_s = round(max(stored.expected_rows - loading.rows, 0) / shown.rate, 1)
    return shown


def _counted_at(stored: StoredObject) -> str | None:
    """Return when the org last told its count: alone, or with a fingerprint."""
    if stored.expected_rows is None:
        return None
    return max(filter(None, (stored.counted_at, stored.checked_at)), default=None)


def _progress(mirrored: MirroredObject, rows: int) -> float:
    """Return the share of the initial audit that is done; it stays while the audit waits."""
    expected = mirrored.stored.expected_rows
    if mirrored.loaded or not expected:
        return 1.0 if mirrored.loaded else 0.0
    return min(rows / expected, 1.0)


def _drift(mirrored: MirroredObject) -> protocol.Drift | None:
    drift = mirrored.suspicions.drift
    if drift is None:
        return None
    return protocol.Drift(
        checked_at=mirrored.stored.checked_at,
        missing=drift.missing,
        stale=drift.stale,
        orphaned=drift.orphaned,
        held_back=drift.held_back,
        repaired=drift.repaired,
    )


def _by_source(latencies: Collection[Latency]) -> dict[str, protocol.Freshness]:
    found = {
        source.value: _freshness(late for other, late in latencies if other is source)
        for source in {source for source, _ in latencies}
    }
    return {name: freshness for name, freshness in sorted(found.items()) if freshness}


def _freshness(latencies: Iterable[Millis]) -> protocol.Freshness | None:
    found = percentiles(latencies, (50, 95, 99))
    return protocol.Freshness(p50=found[0], p95=found[1], p99=found[2]) if found else None
