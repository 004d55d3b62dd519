"""Rules and alerts on the control socket: how they fare, and what a rule would have fired."""

from __future__ import annotations

from rtsd.control import protocol, views
from rtsd.core.instant import DAY_MS, from_iso, to_iso
from rtsd.errors import Conflict, NotFound, UsageError
from rtsd.rules import dry_run
from rtsd.rules.engine import RuleEngine
from rtsd.rules.rule import Alert, Rule
from rtsd.store import dead_letters, outbox
from rtsd.store.outbox import Count
from rtsd.sync.engine import Engine

_NONE = Count(0, 0, 0, 0, None)


class RuleOperations:
    """Answers `/v1/rules`."""

    def __init__(self, engine: Engine, rule_engine: RuleEngine) -> None:
        self._engine = engine
        self._rule_engine = rule_engine

    async def list(self) -> protocol.Rules:
        """`GET /v1/rules`."""
        database = self._engine.database
        counts = await outbox.counts(database, self._engine.now() - DAY_MS)
        dead = await dead_letters.count_by_rule(database)
        health = self._rule_engine.health()
        shown = protocol.Rules()
        for rule in self._rule_engine.rules:
            one = self._shown(rule, counts.get(rule.name, _NONE), dead.get(rule.name, 0))
            one.object, one.when, one.error = rule.object, rule.when, health[rule.name].error
            shown.rules.append(one)
        for alert in self._rule_engine.alerts:
            shown.alerts.append(self._shown(alert, counts.get(alert.name, _NONE), dead.get(alert.name, 0)))
        return shown

    def _shown(self, one: Rule | Alert, count: Count, dead: int) -> protocol.Rule:
        circuit = self._rule_engine.deliverer.circuit_of(one.action)
        return protocol.Rule(
            name=one.name,
            on=sorted(one.on),
            action=one.action.kind,
            target=one.action.target,
            fired_24h=count.fired,
            delivered_24h=count.delivered,
            pending=count.pending,
            failed_24h=count.failed,
            dead_letters=dead,
            circuit="open" if circuit.is_open else "closed",
            last_fired_at=to_iso(count.last_fired_at) if count.last_fired_at is not None else None,
        )

    async def test(self, name: str, since: str) -> protocol.RuleTest:
        """`POST /v1/rules/{name}/test`. Raises NotFound, UsageError for a moment that is none, Conflict."""
        rule = next((one for one in self._rule_engine.rules if one.name.lower() == name.lower()), None)
        if rule is None:
            known = ", ".join(one.name for one in self._rule_engine.rules) or "none"
            raise NotFound(f"there is no rule {name}", f"rules are: {known}")
        try:
            moment = from_iso(since)
        except ValueError as error:
            raise UsageError(f"since: {error}", "give a moment such as 2026-03-01T10:00:00Z") from error
        mirrored = self._rule_engine.mirrored(rule.object)
        if mirrored is None:
            raise Conflict(f"{rule.object} is not mirrored yet", "restart rtsd")
        found = await dry_run.run(self._engine.database, mirrored, rule, moment)
        return protocol.RuleTest(
            rule=rule.name,
            since=to_iso(moment),
            considered=found.considered,
            matched=found.matched,
            entries=[views.event(entry) for entry in found.entries],
            truncated=found.truncated,
        )
