"""All rules and alerts: taken up at the start and on SIGHUP, checked against the mirror's columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from rtsd.core.schema import ObjectSchema, narrow
from rtsd.errors import Conflict
from rtsd.rules.alerts import AlertWatch, ShownStatus
from rtsd.rules.deliver import Deliverer
from rtsd.rules.match import Matcher, ShownEntry, Standing, new_webhook_id
from rtsd.rules.rule import Action, Alert, Rule
from rtsd.store import dead_letters, outbox
from rtsd.store import schema as tables
from rtsd.store.dead_letters import DeadLetter
from rtsd.store.journal import Note
from rtsd.store.outbox import NewDelivery
from rtsd.store.when import UnknownColumn, When
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.controller import Controller
from rtsd.sync.engine import Engine


class _Event(msgspec.Struct):
    seq: int


class _Document(msgspec.Struct):
    """What is read again of a delivery; an alert has no event."""

    event: _Event | None = None


class RuleEngine:
    """Holds what rules and alerts are made of."""

    def __init__(
        self, engine: Engine, controller: Controller, shown: ShownEntry, status: ShownStatus
    ) -> None:
        self._engine = engine
        self.matcher = Matcher(engine.journal, shown)
        self.deliverer = Deliverer(engine)
        self.watch = AlertWatch(engine, controller, status)
        self.rules: Sequence[Rule] = ()
        self.alerts: Sequence[Alert] = ()

    def take_up(self, rules: Sequence[Rule], alerts: Sequence[Alert]) -> None:
        """Work with these from now on; what waits to be delivered goes where they say."""
        self.rules, self.alerts = rules, alerts
        self.matcher.set_rules(rules)
        self.watch.set_alerts(alerts)
        self.deliverer.set_actions(self._actions())
        # without rules a change is applied without a look at them
        self._engine.applier.listener = self.matcher if rules else None

    def _actions(self) -> dict[str, Action]:
        """Where each rule and alert sends, by its name."""
        by_rule = {rule.name: rule.action for rule in self.rules}
        return by_rule | {alert.name: alert.action for alert in self.alerts}

    def mirrored(self, name: str) -> MirroredObject | None:
        """The object of that name; None when it is not mirrored."""
        return self._engine.catalog.find(name)

    def standings(self) -> dict[str, Standing]:
        """Every rule by name, compiled for the columns its object has now."""
        found = {}
        for standing in self.matcher:
            mirrored = self._engine.catalog.find(standing.rule.object)
            if mirrored is None:
                standing.error = f"{standing.rule.object} is mirrored from the next start on"
            elif mirrored.table is not None:
                self.matcher.compile(standing, mirrored.table)
            found[standing.rule.name] = standing
        return found

    async def send_again(self, letter: DeadLetter) -> None:
        """Put a delivery that nobody took into the outbox once more, under its old id.

        Raises Conflict when its rule is not configured any more.
        """
        action = self._actions().get(letter.rule or "")
        if action is None:
            raise Conflict(
                f"{letter.rule} is not configured any more", "configure it again, or drop the letter"
            )
        event = msgspec.json.decode(letter.body, type=_Document).event
        delivery = NewDelivery(
            webhook_id=letter.webhook_id or new_webhook_id(),
            rule=letter.rule or "",
            destination=action.destination,
            object=letter.object or "",
            record=letter.record or "",
            event=event.seq if event else 0,
            body=letter.body,
        )
        async with self._engine.unit_of_work() as unit:
            await dead_letters.drop(unit.tx, letter.id)
            await outbox.add(unit.tx, [delivery], self._engine.now())
            await unit.note(Note("dead_letter", message=f"dead letter {letter.id} retried: {letter.rule}"))
        self.deliverer.wake()

    async def mistakes(self, rules: Sequence[Rule]) -> list[str]:
        """What is wrong with conditions that name columns, each a line as configuration mistakes are.

        A column that the mirror once had is no mistake: the rule is in error, and shown, until it is back.
        """
        found = []
        for rule in rules:
            mirrored = self._engine.catalog.find(rule.object)
            if mirrored is not None and mirrored.table is not None:
                left = await tables.column_names(self._engine.database, mirrored.name)
                found += mistake(rule, _as_wished(mirrored), left)
        return found

    def new_mistakes(self, rules: Sequence[Rule]) -> list[str]:
        """The same while running: a rule that ran until now is no mistake."""
        running = {(one.name, one.object, one.when) for one in self.rules}
        found = []
        for rule in rules:
            mirrored = self._engine.catalog.find(rule.object)
            described = mirrored is not None and mirrored.table is not None
            if mirrored is not None and described and (rule.name, rule.object, rule.when) not in running:
                found += mistake(rule, mirrored.described.schema, ())
        return found


def _as_wished(mirrored: MirroredObject) -> ObjectSchema:
    """The object's columns as an earlier run left them, without those that are not wished for any more."""
    schema = mirrored.described.schema
    try:
        return narrow(schema, mirrored.config, (*schema.names, *schema.unmirrored))
    except ValueError:
        return schema  # the next describe says what is wrong with the config


def mistake(rule: Rule, schema: ObjectSchema, left: Collection[str] = ()) -> list[str]:
    """What is wrong with a rule's condition; `left` are columns that its object's table still has."""
    try:
        When(rule.when, schema)
    except UnknownColumn as error:
        lower = error.column.lower()
        in_org = {name.lower() for name in schema.unmirrored}
        if lower in {name.lower() for name in left} and lower not in in_org:
            return []
        return [f"rules[{rule.name}].when: {error}"]
    except ValueError as error:
        return [f"rules[{rule.name}].when: {error}"]
    return []
