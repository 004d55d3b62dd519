"""All rules and alerts, in force since the start or the last reload, checked against the mirror's columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from rtsd.core.instant import Millis
from rtsd.core.schema import ObjectSchema, narrow
from rtsd.errors import Conflict
from rtsd.rules.alerts import AlertWatch
from rtsd.rules.deliver import Deliverer
from rtsd.rules.match import CompiledRule, Matcher
from rtsd.rules.rule import Action, Alert, Rule
from rtsd.store import outbox
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.dead_letters import DeadLetter
from rtsd.store.journal import Note
from rtsd.store.outbox import NewDelivery
from rtsd.store.when import UnknownColumn, When
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.unit_of_work import UnitsOfWork


class _Event(msgspec.Struct):
    seq: int


class _Document(msgspec.Struct):
    """The part of a delivery's document needed for a retry; an alert has no event."""

    event: _Event | None = None


class RuleEngine:
    """Rules, alerts, and the components that run them."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        now: Callable[[], Millis],
        *,
        matcher: Matcher,
        deliverer: Deliverer,
        watch: AlertWatch,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self.matcher = matcher
        self.deliverer = deliverer
        self.watch = watch
        self.rules: Sequence[Rule] = ()
        self.alerts: Sequence[Alert] = ()

    def replace(self, rules: Sequence[Rule], alerts: Sequence[Alert]) -> None:
        """Replace all rules and alerts, and redirect pending deliveries accordingly."""
        self.rules, self.alerts = rules, alerts
        self.matcher.replace_rules(rules)
        self.watch.set_alerts(alerts)
        self.deliverer.set_actions(self._actions())

    def _actions(self) -> dict[str, Action]:
        """The action of each rule and alert by name."""
        by_rule = {rule.name: rule.action for rule in self.rules}
        return by_rule | {alert.name: alert.action for alert in self.alerts}

    def mirrored(self, name: str) -> MirroredObject | None:
        """The object of that name; None if it is not mirrored."""
        return self._catalog.find(name)

    def compiled(self) -> dict[str, CompiledRule]:
        """All rules by name, compiled for their objects' current columns."""
        found = {}
        for compiled in self.matcher:
            mirrored = self._catalog.find(compiled.rule.object)
            if mirrored is None:
                compiled.error = f"{compiled.rule.object} is mirrored only after a restart"
            elif mirrored.table is not None:
                self.matcher.compile(compiled, mirrored.table)
            found[compiled.rule.name] = compiled
        return found

    async def send_again(self, letter: DeadLetter) -> None:
        """Return an undelivered message to the outbox under its old id, unless it is there already.

        Its dead letter stays until it has arrived. Raises Conflict if its rule is no longer configured.
        """
        action = self._actions().get(letter.rule or "")
        if action is None:
            raise Conflict(
                f"{letter.rule} is no longer configured", "configure it again, or drop the dead letter"
            )
        event = msgspec.json.decode(letter.body, type=_Document).event
        delivery = NewDelivery(
            webhook_id=letter.webhook_id or "",
            rule=letter.rule or "",
            destination=action.destination,
            object=letter.object or "",
            record=letter.record or "",
            event=event.seq if event else 0,
            body=letter.body,
        )
        async with self._work.begin() as unit:
            if await outbox.is_pending(unit.tx, delivery.webhook_id):
                return
            await outbox.add(unit.tx, [delivery], self._now())
            message = f"dead letter {letter.id} is sent again: {letter.rule}"
            await unit.note(Note("dead_letter", message=message))
        self.deliverer.wake.set()

    async def mistakes(self, rules: Sequence[Rule]) -> list[str]:
        """The mistakes in the rules' conditions, a line each as for configuration mistakes.

        A column that the mirror once had is not a mistake; the rule reports an error until it returns.
        """
        found = []
        for rule in rules:
            mirrored = self._catalog.find(rule.object)
            if mirrored is not None and mirrored.table is not None:
                former = await tables.column_names(self._database, mirrored.name)
                found += mistakes_in(rule, _as_configured(mirrored), former)
        return found

    def new_mistakes(self, rules: Sequence[Rule]) -> list[str]:
        """The mistakes in rules other than those already running."""
        running = {(rule.name, rule.object, rule.when) for rule in self.rules}
        found = []
        for rule in rules:
            mirrored = self._catalog.find(rule.object)
            described = mirrored is not None and mirrored.table is not None
            if mirrored is not None and described and (rule.name, rule.object, rule.when) not in running:
                found += mistakes_in(rule, mirrored.described.schema)
        return found


def _as_configured(mirrored: MirroredObject) -> ObjectSchema:
    """The object's columns as left by an earlier run, reduced to the current configuration."""
    schema = mirrored.described.schema
    try:
        return narrow(schema, mirrored.config, (*schema.names, *schema.unmirrored))
    except ValueError:
        return schema  # the next describe reports the problem


def mistakes_in(rule: Rule, schema: ObjectSchema, former: Collection[str] = ()) -> list[str]:
    """The mistakes in a rule's condition; `former` are further columns in its object's table."""
    try:
        When(rule.when, schema)
    except UnknownColumn as error:
        lower = error.column.lower()
        in_org = {name.lower() for name in schema.unmirrored}
        if lower in {name.lower() for name in former} and lower not in in_org:
            return []
        return [f"rules[{rule.name}].when: {error}"]
    except ValueError as error:
        return [f"rules[{rule.name}].when: {error}"]
    return []
