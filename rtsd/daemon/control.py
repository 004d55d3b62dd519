"""The control API, put together from what it shows and what it commands."""

from __future__ import annotations

from rtsd.control.backup import Backups
from rtsd.control.explain import Explainer
from rtsd.control.metrics import Metrics
from rtsd.control.operations import Operations
from rtsd.control.package import PackageOperations, PackageRoutes
from rtsd.control.repairs import Repairs
from rtsd.control.rules import RuleOperations
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
    shown: Views,
    metrics: Metrics,
    shown_rules: RuleOperations,
    reloader: Reloader,
) -> ControlServer:
    """Build the control API, closed."""
    engine, machine = base.engine, base.machine
    operations = Operations(
        engine,
        services.inbox,
        base.ledger,
        rule_engine,
        mode=channel.mode,
        interval_sync=services.interval_sync,
        describer=readers.describer,
        loader=services.loader,
        audit=readers.audit,
        checks=services.checks,
        verifier=Verifier(engine, services.checks, readers.repair, machine.random_bytes),
        random_bytes=machine.random_bytes,
    )
    package = PackageOperations(
        engine, base.ledger, mode=channel.mode, probe=services.package_probe, conditions=channel.conditions
    )
    return ControlServer(
        shown,
        stream=EventStream(base.publisher.feed, shown),
        operations=operations,
        repairs=Repairs(
            engine,
            operations,
            repair=readers.repair,
            fingerprinter=readers.fingerprinter,
            columns=readers.columns,
        ),
        explainer=Explainer(engine),
        backups=Backups(engine.database, machine.wall),
        metrics=metrics,
        package=PackageRoutes(engine, package),
        triggers=shown_rules,
        reload=reloader.reload,
    )
