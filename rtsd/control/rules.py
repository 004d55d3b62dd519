"""Rules and alerts on the control socket: their deliveries, and the test of a rule against the past."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, body_of, moment
from rtsd.control.wire import event, iso
from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.core.spelling import did_you_mean
from rtsd.errors import Conflict, NotFound
from rtsd.rules import dry_run
from rtsd.rules.engine import RuleEngine
from rtsd.rules.rule import Alert, Rule
from rtsd.store import dead_letters, outbox
from rtsd.store.database import Database
from rtsd.store.outbox import Count

_NONE = Count(0, 0, 0, 0, None)


class RuleRoutes:
    """Answers `/v1/rules`."""

    def __init__(self, database: Database, rule_engine: RuleEngine, now: Callable[[], Millis]) -> None:
        self._database = database
        self._rule_engine = rule_engine
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v1/rules", self._list), web.post("/v1/rules/{name}/test", self._test)]

    async def _list(self, _request: web.Request) -> web.Response:
        return answer(await self.listed())

    async def _test(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.RuleTestBody)
        return answer(await self._tested(request.match_info["name"], body.since))

    async def listed(self) -> protocol.Rules:
        """Return rules and alerts, and how their deliveries fare."""
        counts = await outbox.counts(self._database, self._now() - DAY_MS)
        dead = await dead_letters.count_by_rule(self._database)
        compiled = self._rule_engine.compiled()
        shown = protocol.Rules()
        for rule in self._rule_engine.rules:
            status = self._status(rule, counts.get(rule.name, _NONE), dead.get(rule.name, 0))
            status.object, status.when, status.error = rule.object, rule.when, compiled[rule.name].error
            shown.rules.append(status)
        for alert in self._rule_engine.alerts:
            shown.alerts.append(self._status(alert, counts.get(alert.name, _NONE), dead.get(alert.name, 0)))
        return shown

    def _status(self, rule: Rule | Alert, count: Count, dead: int) -> protocol.RuleStatus:
        circuit = self._rule_engine.deliverer.circuit_of(rule.action)
        return protocol.RuleStatus(
            name=rule.name,
            on=sorted(rule.on),
            action=rule.action.kind,
            target=rule.action.target,
            fired_24h=count.fired,
            delivered_24h=count.delivered,
            pending=count.pending,
            failed_24h=count.failed,
            dead_letters=dead,
            circuit="open" if circuit.is_open else "closed",
            last_fired_at=iso(count.last_fired_at),
        )

    async def _tested(self, name: str, since: str) -> protocol.RuleTest:
        """Test a rule. Raises NotFound, UsageError for a malformed moment, Conflict."""
        rules = self._rule_engine.rules
        rule = next((rule for rule in rules if rule.name.lower() == name.lower()), None)
        if rule is None:
            known = [rule.name for rule in rules]
            listed = ", ".join(known) or "none"
            raise NotFound(f"there is no rule {name}.{did_you_mean(name, known)}", f"rules are: {listed}")
        begin = moment(since, "since")
        mirrored = self._rule_engine.mirrored(rule.object)
        if mirrored is None:
            raise Conflict(f"{rule.object} is not mirrored yet", "restart rtsd")
        found = await dry_run.run(self._database, mirrored, rule, begin)
        return protocol.RuleTest(
            rule=rule.name,
            since=to_iso(begin),
            considered=found.considered,
            matched=found.matched,
            entries=[event(entry) for entry in found.entries],
            truncated=found.truncated,
        )
