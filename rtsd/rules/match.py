"""Matching of changes to rules, in the transaction that applies a change; the deliveries go into the outbox.

A rule whose `when` cannot be evaluated fires nothing and is reported: in `GET /v1/rules`, in the error log at
its first failure, and in the journal with the number of changes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.errors import RuleFailed
from rtsd.rules.rule import Rule
from rtsd.store import error_log, outbox
from rtsd.store.database import Tx
from rtsd.store.journal import Entry, Journal, Note
from rtsd.store.outbox import NewDelivery
from rtsd.store.schema import Table
from rtsd.store.when import When
from rtsd.sync.apply import Occurrence
from rtsd.sync.catalog import MirroredObject

YIELD_EVERY = 200
"""Changes evaluated before the event loop gets its turn, a few milliseconds."""
_CREATED = "CreatedDate"

log = structlog.get_logger("rtsd.rules")

RenderEntry = Callable[[Entry], object]
"""Renders an entry of the journal for the wire."""


@dataclass(slots=True)
class RuleHealth:
    """A rule compiled for its object's current table, and the reason if it cannot be evaluated."""

    rule: Rule
    table: Table | None = None
    when: When | None = None
    error: str | None = None


def is_live(mirrored: MirroredObject, occurrence: Occurrence) -> bool:
    """Whether a change happened just now, as opposed to a record found by the initial load.

    While an object loads, a record new to the mirror may be of any age; only CreatedDate tells.
    """
    note = occurrence.entry.note
    if mirrored.loaded or note.source == "push" or occurrence.old is not None:
        return True
    created = occurrence.new.get(_CREATED)
    return bool(created) and from_iso(str(created)) >= mirrored.loaded_from > 0


class Matcher:
    """Evaluates the rules for changes; the change listener of `sync.apply`."""

    def __init__(self, journal: Journal, render: RenderEntry) -> None:
        self._journal = journal
        self._render = render
        self._rules: dict[str, list[RuleHealth]] = {}
        """By the object's lower-cased name."""

    def __iter__(self) -> Any:
        """Iterate over the health of all rules."""
        return (health for rules in self._rules.values() for health in rules)

    def replace_rules(self, rules: Sequence[Rule]) -> None:
        """Replace all rules."""
        self._rules = {}
        for rule in rules:
            self._rules.setdefault(rule.object.lower(), []).append(RuleHealth(rule))

    def watches(self, object_name: str) -> bool:
        """Whether a rule exists for the object."""
        return object_name.lower() in self._rules

    async def fire(
        self, tx: Tx, mirrored: MirroredObject, found: Sequence[Occurrence], at: Millis
    ) -> list[Entry]:
        """Add the deliveries of the fired rules to the outbox; return the journal entries about them."""
        deliveries: list[NewDelivery] = []
        notes: list[Note] = []
        live = [occurrence for occurrence in found if is_live(mirrored, occurrence)]
        for health in self._rules.get(mirrored.name.lower(), ()):
            earlier_error = health.error
            relevant = [occurrence for occurrence in live if applies_to(health.rule, occurrence.entry.note)]
            failed = 0
            for place, occurrence in enumerate(relevant, 1):
                if place % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
                if not self._holds(health, mirrored.described, occurrence):
                    failed += health.error is not None
                    continue
                deliveries.append(self._delivery(health.rule, occurrence))
                notes.append(_fired(health.rule, occurrence))
            if failed:
                notes.append(_not_evaluated(health, mirrored, failed))
                if earlier_error is None:
                    await self._report(tx, health, mirrored, at)
        if deliveries:
            await outbox.add(tx, deliveries, at)
        return await self._journal.append(tx, at, notes) if notes else []

    def compile(self, health: RuleHealth, table: Table) -> None:
        """Compile a rule for a table, or set its `error`."""
        if health.table is not table:
            health.table, health.when, health.error = table, None, None
            try:
                health.when = When(health.rule.when, table.schema)
            except ValueError as error:
                health.error = str(error).partition(";")[0]

    def _holds(self, health: RuleHealth, table: Table, occurrence: Occurrence) -> bool:
        self.compile(health, table)
        if health.when is None:
            return False
        try:
            holds = health.when.holds(occurrence.new, occurrence.old)
        except ValueError as error:
            health.error = f"`when` cannot be evaluated: {error}"
            return False
        health.error = None
        return holds

    def _delivery(self, rule: Rule, occurrence: Occurrence) -> NewDelivery:
        note = occurrence.entry.note
        document = {
            "v": 1,
            "rule": rule.name,
            "event": self._render(occurrence.entry),
            "record": occurrence.new,
            "old": occurrence.old,
        }
        return NewDelivery(
            webhook_id=new_webhook_id(),
            rule=rule.name,
            destination=rule.action.destination,
            object=note.object or "",
            record=note.id or "",
            event=occurrence.entry.seq,
            body=msgspec.json.encode(document),
        )

    async def _report(self, tx: Tx, health: RuleHealth, mirrored: MirroredObject, at: Millis) -> None:
        """Report a rule's first failure in the error log."""
        message = f"rule {health.rule.name}: {health.error}"
        log.warning("rule failed", rule=health.rule.name, object=mirrored.name)
        await error_log.add(tx, to_iso(at), RuleFailed.__name__, message, mirrored.name)


def applies_to(rule: Rule, note: Note) -> bool:
    """Whether a rule covers the operation and source of a change, whatever its `when`."""
    return note.op in rule.on and note.source in rule.sources


def new_webhook_id() -> str:
    """Create the id of a delivery, the same for all its attempts."""
    return f"rts_{secrets.token_hex(12)}"


def _fired(rule: Rule, occurrence: Occurrence) -> Note:
    note = occurrence.entry.note
    return Note(
        type="rule",
        object=note.object,
        id=note.id,
        outcome="fired",
        message=f"{rule.name} fired",
        detail={"rule": rule.name, "event": occurrence.entry.seq},
    )


def _not_evaluated(health: RuleHealth, mirrored: MirroredObject, failed: int) -> Note:
    changes = "a change" if failed == 1 else f"{failed} changes"
    return Note(
        type="rule",
        object=mirrored.name,
        outcome="error",
        message=f"{health.rule.name} could not be evaluated for {changes}: {health.error}",
        detail={"rule": health.rule.name, "changes": failed},
    )
