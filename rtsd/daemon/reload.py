"""Reload of the settings that can change without a restart, on SIGHUP or an operator's request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import structlog

from rtsd import systemd
from rtsd.config import Config, load
from rtsd.control import protocol
from rtsd.core.instant import Millis
from rtsd.core.quota import API_REQUESTS, BULK_JOBS
from rtsd.core.signature import key_id
from rtsd.daemon import fanout, rules
from rtsd.daemon.gateway import Keys
from rtsd.errors import ConfigError, RtsError
from rtsd.fanout.fanout import Fanout
from rtsd.logs import conceal
from rtsd.rules.engine import RuleEngine
from rtsd.services import Service
from rtsd.sync.ledger import Caps, StoredLedger
from rtsd.sync.schedule import CurrentSchedule, Schedule
from rtsd.sync.windows import Windows

FIXED = ("org", "store", "node", "control", "objects", "webhooks")
"""Tables of the configuration whose changes require a restart."""
FIXED_KEYS = {"gateway": ("listen", "public_url"), "push": ("channel", "endpoint", "sealed")}
"""Keys of tables that can be reloaded otherwise whose changes require a restart."""

log = structlog.get_logger("rtsd")


class Reloading(ABC):
    """Reads the configuration file again, on a node that leads or stands by."""

    def __init__(self, running: Config, keys: Keys, monotonic: Callable[[], Millis]) -> None:
        self.running = running
        self._keys = keys
        self._monotonic = monotonic
        self.needs_restart: list[str] = []
        """Tables that had changed at the last reload, and take effect at the next start only."""

    def reload(self) -> protocol.Reloaded:
        """Reload what can change without a restart; return what cannot.

        Raises ConfigError, in which case nothing has changed.
        """
        config = load(self.running.path)
        fanout.require_extra(config)
        self._keys.replace_pair(config)
        self.use(config)
        conceal(secret.reveal() for secret in config.secrets())
        self._keys.hmac = config.hmac_keys
        self.needs_restart = changes_for_a_restart(self.running, config)
        log.info("reloaded", needs_restart=",".join(self.needs_restart))
        ids = [key_id(key) for key in self._keys.hmac]
        return protocol.Reloaded(needs_restart=self.needs_restart, token_ids=ids)

    def on_signal(self) -> None:
        """Reload on SIGHUP; log a configuration with mistakes and keep the current one."""
        systemd.reloading(self._monotonic())
        try:
            self.reload()
        except RtsError as error:
            mistakes = error.mistakes if isinstance(error, ConfigError) else ()
            log.warning("not reloaded", message=str(error), mistakes="; ".join(mistakes))
            systemd.ready(f"not reloaded: {error.message} {'; '.join(mistakes)}")
        else:
            systemd.ready()

    @abstractmethod
    def use(self, config: Config) -> None:
        """Take what counts now beside the secrets. Raises ConfigError, in which case nothing has changed."""


class Reloader(Reloading):
    """Passes new values to the parts of a node that leads."""

    def __init__(
        self,
        running: Config,
        *,
        keys: Keys,
        rule_engine: RuleEngine,
        schedule: CurrentSchedule,
        windows: Windows,
        fanout: Fanout,
        ledger: StoredLedger,
        services: Iterable[Service],
        monotonic: Callable[[], Millis],
    ) -> None:
        super().__init__(running, keys, monotonic)
        self._rule_engine = rule_engine
        self._schedule = schedule
        self._windows = windows
        self._fanout = fanout
        self._ledger = ledger
        self._services = tuple(services)

    def use(self, config: Config) -> None:
        """Take rules, streams, schedule and quota."""
        rules.replace(self._rule_engine, config)
        self._schedule.replace(schedule(config))
        self._windows.lookback = config.sync.lookback
        self._ledger.caps = caps(config)
        self._fanout.replace(fanout.targets(config))
        for service in self._services:
            service.wake.set()


def changes_for_a_restart(running: Config, config: Config) -> list[str]:
    """Return the tables with changes that require a restart."""
    fixed = [name for name in FIXED if getattr(config, name) != getattr(running, name)]
    for table, keys in FIXED_KEYS.items():
        now, before = getattr(config, table), getattr(running, table)
        if any(getattr(now, key) != getattr(before, key) for key in keys):
            fixed.append(table)
    return fixed


def without_changes_for_a_restart(running: Config, config: Config) -> Config:
    """Return a configuration without the changes that require a restart."""
    kept = {name: getattr(running, name) for name in FIXED}
    for table, keys in FIXED_KEYS.items():
        before = getattr(running, table)
        kept[table] = getattr(config, table).model_copy(update={key: getattr(before, key) for key in keys})
    return config.model_copy(update=kept)


def schedule(config: Config) -> Schedule:
    """Return the schedule configured in `[sync]`."""
    sync = config.sync
    return Schedule(
        silence_after=sync.silence_after,
        interval=sync.interval,
        fingerprint_every=sync.fingerprint_every,
        formula_refresh=sync.formula_refresh,
        initial_audit=sync.initial_audit,
        fresh_goal=sync.fresh_goal,
    )


def caps(config: Config) -> Caps:
    """Return the reserve and rtsd's own caps, as configured in `[quota]`."""
    own = {API_REQUESTS: config.quota.daily.api_requests, BULK_JOBS: config.quota.daily.bulk_jobs}
    return Caps(config.quota.reserve, {name: cap for name, cap in own.items() if cap is not None})
