"""Construction of the control API from its groups of routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import web

from rtsd.control.action_log import ActionLog
from rtsd.control.assistants import AssistantRoute
from rtsd.control.audits import AuditRoutes, Audits
from rtsd.control.backup import Backups
from rtsd.control.catalog import CatalogRoutes
from rtsd.control.commands import CommandRoutes, Pausing
from rtsd.control.dead_letters import DeadLetterRoutes, DeadLetters
from rtsd.control.documents import find_object
from rtsd.control.event_values import EventValues
from rtsd.control.explain import Explainer
from rtsd.control.exporting import ExportRoute
from rtsd.control.known_status import KnownStatus
from rtsd.control.metrics import Metrics
from rtsd.control.nodes import NodesRoute
from rtsd.control.openapi.route import OpenApiRoute
from rtsd.control.overview import OverviewRoutes
from rtsd.control.package import PackageOperations, PackageRoutes
from rtsd.control.pricing import Pricing
from rtsd.control.querying import QueryRoute
from rtsd.control.recent_status import RecentStatus
from rtsd.control.records import RecordRoutes
from rtsd.control.reloading import ReloadRoute
from rtsd.control.repairs import RepairRoutes
from rtsd.control.rules import RuleRoutes
from rtsd.control.stream import EventStream
from rtsd.daemon.parts import Base, Channel, Readers, Services
from rtsd.daemon.reload import Reloader
from rtsd.daemon.views import estimated_idle_day
from rtsd.rules.engine import RuleEngine
from rtsd.store import objects
from rtsd.sync.estimate import IdleDay
from rtsd.sync.verify import Verifier


def control_routes(
    base: Base,
    readers: Readers,
    channel: Channel,
    services: Services,
    *,
    rule_engine: RuleEngine,
    known: KnownStatus,
    metrics: Metrics,
    rules: RuleRoutes,
    reloader: Reloader,
) -> tuple[Sequence[web.RouteDef], Callable[[], None]]:
    """Return the routes of a node that leads, and what ends a copy under way that would hold up a stop."""
    client, database, catalog, work = base.client, base.database, base.catalog, base.work
    now, random_bytes = base.machine.wall, base.machine.random_bytes
    pricing = Pricing(
        client,
        database,
        base.ledger,
        windows=readers.windows,
        limits=readers.limits,
        fingerprinter=readers.fingerprinter,
    )
    pausing = Pausing(
        catalog,
        work,
        channel.mode,
        describer=readers.describer,
        interval_sync=services.interval_sync,
        loader=services.loader,
        inbox=services.inbox,
        server_clock=base.server_clock,
    )
    letters = DeadLetters(
        database, work, now=now, inbox=services.inbox, rule_engine=rule_engine, random_bytes=random_bytes
    )
    backups = Backups(base.engine, now)
    actions = ActionLog(database, catalog, work, now)
    groups = (
        known,
        actions,
        OverviewRoutes(database, channel.missed_pushes, now, partial(_idle_day, base)),
        NodesRoute(base.engine.lease),
        _event_stream(base, known),
        DeadLetterRoutes(database, letters),
        RecordRoutes(catalog, Explainer(database, client)),
        _audit_routes(base, readers, services, pricing),
        _repair_routes(base, readers, pricing),
        rules,
        _package_routes(base, channel, services),
        CommandRoutes(catalog, pausing),
        *_reading_routes(base),
        metrics,
        backups,
        ReloadRoute(reloader.reload, work.report),
        OpenApiRoute(),
    )
    return actions.journalled(route for group in groups for route in group.routes()), backups.stop


def _event_stream(base: Base, known: KnownStatus) -> EventStream:
    return EventStream(
        base.publisher.feed,
        base.database,
        RecentStatus(known.get),
        lambda name: find_object(base.catalog, name).name,
    )


async def _idle_day(base: Base) -> IdleDay:
    """Estimate a day without changes, by the schedule in force and the rows that the mirror has."""
    return estimated_idle_day(base, await objects.row_counts(base.database))


def _reading_routes(
    base: Base,
) -> tuple[EventValues, QueryRoute, ExportRoute, CatalogRoutes, AssistantRoute]:
    answers = base.engine.answers()
    return (
        EventValues(base.catalog, base.database),
        QueryRoute(answers, base.database, base.machine.wall),
        ExportRoute(base.database, base.machine.wall),
        CatalogRoutes(base.catalog, base.database, answers),
        AssistantRoute(base.work),
    )


def _package_routes(base: Base, channel: Channel, services: Services) -> PackageRoutes:
    package = PackageOperations(
        base.catalog,
        base.work,
        base.ledger,
        mode=channel.mode,
        probe=services.package_probe,
        conditions=channel.conditions,
        capture=channel.capture,
    )
    return PackageRoutes(base.catalog, package)


def _audit_routes(base: Base, readers: Readers, services: Services, pricing: Pricing) -> AuditRoutes:
    audits = Audits(
        base.database,
        base.work,
        journal=base.journal,
        now=base.machine.wall,
        pricing=pricing,
        describer=readers.describer,
        loader=services.loader,
        checks=services.checks,
        state_audit=readers.audit,
    )
    verifier = Verifier(
        base.database,
        base.inbox,
        base.catalog,
        base.work,
        now=base.machine.wall,
        org=base.org,
        checks=services.checks,
        repair=readers.repair,
        key_file=base.engine.key_file,
        random_bytes=base.machine.random_bytes,
    )
    return AuditRoutes(base.database, base.catalog, audits, verifier)


def _repair_routes(base: Base, readers: Readers, pricing: Pricing) -> RepairRoutes:
    return RepairRoutes(
        base.client,
        base.database,
        base.catalog,
        base.work,
        now=base.machine.wall,
        server_clock=base.server_clock,
        repair=readers.repair,
        columns=readers.columns,
        fingerprinter=readers.fingerprinter,
        pricing=pricing,
    )
