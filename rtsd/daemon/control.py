"""The control API, put together from groups of routes."""

from __future__ import annotations

from rtsd.control.audits import AuditRoutes, Audits
from rtsd.control.backup import Backups
from rtsd.control.commands import CommandRoutes, Pausing
from rtsd.control.dead_letters import DeadLetterRoutes, DeadLetters
from rtsd.control.explain import Explainer
from rtsd.control.metrics import Metrics
from rtsd.control.overview import OverviewRoutes
from rtsd.control.package import PackageOperations, PackageRoutes
from rtsd.control.pricing import Pricing
from rtsd.control.records import RecordRoutes
from rtsd.control.repairs import RepairRoutes
from rtsd.control.rules import RuleRoutes
from rtsd.control.server import ControlServer
from rtsd.control.stream import EventStream
from rtsd.control.views import Views
from rtsd.daemon.parts import Base, Channel, Readers, Services
from rtsd.daemon.reload import Reloader
from rtsd.rules.engine import RuleEngine
from rtsd.sync.verify import Verifier


def control_server(
    base: Base,
    readers: Readers,
    channel: Channel,
    services: Services,
    *,
    rule_engine: RuleEngine,
    views: Views,
    metrics: Metrics,
    rules: RuleRoutes,
    reloader: Reloader,
) -> ControlServer:
    """Build the control API, closed."""
    engine, database, machine = base.engine, base.engine.database, base.machine
    pricing = Pricing(base.ledger)
    audits = Audits(
        engine,
        pricing,
        describer=readers.describer,
        loader=services.loader,
        checks=services.checks,
        state_audit=readers.audit,
    )
    package = PackageOperations(
        engine, base.ledger, mode=channel.mode, probe=services.package_probe, conditions=channel.conditions
    )
    pausing = Pausing(
        engine,
        channel.mode,
        describer=readers.describer,
        interval_sync=services.interval_sync,
        loader=services.loader,
    )
    letters = DeadLetters(engine, services.inbox, rule_engine, machine.random_bytes)
    verifier = Verifier(engine, services.checks, readers.repair, machine.random_bytes)
    groups = (
        OverviewRoutes(views, database, machine.wall),
        EventStream(base.publisher.feed, database, engine.catalog, views),
        DeadLetterRoutes(database, letters),
        RecordRoutes(engine.catalog, Explainer(database, engine.client)),
        AuditRoutes(engine, audits, verifier),
        RepairRoutes(engine, readers.repair, readers.columns, readers.fingerprinter, pricing),
        rules,
        PackageRoutes(engine.catalog, package),
        CommandRoutes(engine.catalog, database.path, pausing),
        metrics,
    )
    routes = [route for group in groups for route in group.routes()]
    return ControlServer(routes, Backups(database, machine.wall), reloader.reload)
