"""From [[rules]] and [[alerts]] to what `rtsd.rules` works with.

Not loaded with `rtsd.config` itself: most who read a configuration run no rules.
"""

from __future__ import annotations

import structlog

from rtsd.config import Config, config_error
from rtsd.config.mistakes import entry_key
from rtsd.config.model import AlertSection, RuleSection
from rtsd.errors import SalesforceError
from rtsd.rules import rule as values
from rtsd.rules.engine import RuleEngine
from rtsd.rules.rule import Action
from rtsd.sync.controller import Controller

log = structlog.get_logger("rtsd.rules")


def rules(config: Config) -> list[values.Rule]:
    """Return the rules."""
    return [
        values.Rule(one.name, one.object, frozenset(one.on), frozenset(one.fire_on), one.when, _action(one))
        for one in config.rules
    ]


def alerts(config: Config) -> list[values.Alert]:
    """Return the alerts; one without a name has its place for one, such as `alerts[1]`."""
    return [
        values.Alert(
            entry_key("alerts", place, {"name": one.name}), frozenset(one.on), one.resolved, _action(one)
        )
        for place, one in enumerate(config.alerts)
    ]


def _action(one: RuleSection | AlertSection) -> Action:
    if one.webhook is not None:
        secret = one.webhook.secret.reveal().encode() if one.webhook.secret else b""
        return values.Webhook(one.webhook.url, secret, one.webhook.timeout)
    if one.command is not None:
        return values.Command(one.command.argv, one.command.timeout)
    raise AssertionError("a rule without an action is refused when it is read")


async def start(book: RuleEngine, controller: Controller, config: Config) -> None:
    """Take rules and alerts up at the start, checked against the columns of their objects.

    An object that was never described is described first, where the org can be asked; else its rules are
    checked when it is. Raises ConfigError.
    """
    wanted = rules(config)
    for name in {rule.object for rule in wanted if rule.when}:
        mirrored = book.mirrored(name)
        if mirrored is not None and mirrored.table is None:
            try:
                await controller.describer.describe(mirrored)
            except SalesforceError as error:
                log.warning("rules not checked yet", object=mirrored.name, message=str(error))
    refuse(config, await book.mistakes(wanted))
    book.set_rules(wanted, alerts(config))


def take_up_again(book: RuleEngine, config: Config) -> None:
    """Take rules and alerts up while running (SIGHUP). Raises ConfigError before anything has changed."""
    wanted = rules(config)
    refuse(config, book.new_mistakes(wanted))
    book.set_rules(wanted, alerts(config))


def refuse(config: Config, mistakes: list[str]) -> None:
    """Raise ConfigError if there are mistakes."""
    if mistakes:
        raise config_error(config.path, tuple(mistakes))
