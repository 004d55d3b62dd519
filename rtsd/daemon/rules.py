"""Construction of what runs `[[rules]]` and `[[alerts]]`, and their conversion to those of `rtsd.rules`.

Not part of `rtsd.config`, as most readers of a configuration run no rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from rtsd.config import Config, config_error
from rtsd.config.mistakes import entry_key
from rtsd.config.model import AlertSection, RuleSection
from rtsd.daemon.fanout import troubles
from rtsd.errors import SalesforceError
from rtsd.fanout.fanout import Fanout
from rtsd.rules.alerts import AlertWatch
from rtsd.rules.deliver import Deliverer
from rtsd.rules.engine import RuleEngine
from rtsd.rules.rule import Action, Alert, Command, Rule, Webhook
from rtsd.sync.describe import Describer

if TYPE_CHECKING:
    from rtsd.control.views import Views
    from rtsd.daemon.parts import Base, Channel

log = structlog.get_logger("rtsd.rules")


def engine_of(base: Base, channel: Channel, shown: Views, outlets: Fanout) -> RuleEngine:
    """Build what runs rules and alerts, without any yet."""
    database, catalog, work = base.database, base.catalog, base.work
    now = base.machine.wall
    return RuleEngine(
        database,
        catalog,
        work,
        now,
        matcher=base.matcher,
        deliverer=Deliverer(database, work, now, base.publisher.fired, base.config.webhooks.addresses),
        watch=AlertWatch(
            database,
            catalog,
            work,
            now=now,
            push=channel.push,
            relay=channel.relay,
            reachability=channel.reachability,
            streams=lambda: troubles(outlets, now()),
            status=shown.status,
            random_bytes=base.machine.random_bytes,
        ),
    )


def rules(config: Config) -> list[Rule]:
    """Return the configured rules."""
    return [
        Rule(
            section.name,
            section.object,
            frozenset(section.on),
            frozenset(section.fire_on),
            section.when,
            _action(section),
        )
        for section in config.rules
    ]


def alerts(config: Config) -> list[Alert]:
    """Return the configured alerts; one without a name is named by its position, such as `alerts[1]`."""
    return [
        Alert(
            entry_key("alerts", place, {"name": section.name}),
            frozenset(section.on),
            section.resolved,
            _action(section),
        )
        for place, section in enumerate(config.alerts)
    ]


def _action(section: RuleSection | AlertSection) -> Action:
    webhook, command = section.webhook, section.command
    if webhook is not None:
        secret = webhook.secret.reveal().encode() if webhook.secret else b""
        return Webhook(webhook.url, secret, webhook.timeout)
    if command is not None:
        return Command(command.argv, command.timeout)
    raise AssertionError("the parser of the configuration rejects a rule without an action")


async def start(engine: RuleEngine, describer: Describer, config: Config) -> None:
    """Activate rules and alerts at startup, checked against the columns of their objects.

    An object that was never described is described first. If the org does not answer, the object's rules are
    checked after its first describe. Raises ConfigError for mistakes in the rules.
    """
    wanted = rules(config)
    for name in {rule.object for rule in wanted if rule.when}:
        mirrored = engine.mirrored(name)
        if mirrored is not None and mirrored.table is None:
            try:
                await describer.describe(mirrored)
            except SalesforceError as error:
                log.warning("rules not checked yet", object=mirrored.name, message=str(error))
    refuse(config, await engine.mistakes(wanted))
    engine.replace(wanted, alerts(config))


def replace(engine: RuleEngine, config: Config) -> None:
    """Replace rules and alerts at runtime. Raises ConfigError for mistakes; then nothing has changed."""
    wanted = rules(config)
    refuse(config, engine.new_mistakes(wanted))
    engine.replace(wanted, alerts(config))


def refuse(config: Config, mistakes: list[str]) -> None:
    """Raise ConfigError if there are mistakes."""
    if mistakes:
        raise config_error(config.path, tuple(mistakes))
