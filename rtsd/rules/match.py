"""Matching of changes to rules, in the transaction that applies a change; the deliveries go into the outbox.

A rule whose `when` cannot be evaluated fires nothing and is reported: in `GET /v1/rules`, in the error log at
its first failure, and in the journal with the number of changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import structlog

from rtsd.core.image import as_dict
from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.core.plural import plural
from rtsd.errors import RuleFailed
from rtsd.rules.rule import Rule
from rtsd.store import error_log, outbox
from rtsd.store.database import Tx
from rtsd.store.journal import Entry, Journal, Note
from rtsd.store.outbox import NewDelivery
from rtsd.store.schema import Table
from rtsd.store.when import When
from rtsd.sync.apply import Occurrence
from rtsd.sync.mirrored_object import MirroredObject

YIELD_EVERY = 200
"""Changes evaluated before the event loop gets its turn, a few milliseconds."""
_CREATED = "CreatedDate"

log = structlog.get_logger("rtsd.rules")

RenderEntry = Callable[[Entry], object]
"""Renders an entry of the journal for the wire."""


@dataclass(slots=True)
class CompiledRule:
    """A rule compiled for its object's current table, and the reason if it cannot be evaluated."""

    rule: Rule
    table: Table | None = None
    when: When | None = None
    error: str | None = None
    reported: bool = False
    """Whether the error log contains the error."""

    def evaluated(self, error: str | None) -> None:
        """Set the result of the last evaluation, after its commit."""
        self.error, self.reported = error, error is not None


def is_live(mirrored: MirroredObject, occurrence: Occurrence) -> bool:
    """Whether a change happened just now, as opposed to a record found by the initial load.

    While an object loads, a record new to the mirror may be of any age; only CreatedDate tells.
    """
    note = occurrence.entry.note
    if mirrored.loaded or note.source == "push" or occurrence.old is not None:
        return True
    created = occurrence.new.get(_CREATED)
    return bool(created) and from_iso(str(created)) >= mirrored.freshness.loaded_from > 0


class Matcher:
    """Evaluates the rules for changes; the change listener of `sync.apply`."""

    def __init__(self, journal: Journal, render: RenderEntry, random_bytes: Callable[[int], bytes]) -> None:
        self._journal = journal
        self._render = render
        self._random_bytes = random_bytes
        self._compiled: dict[str, list[CompiledRule]] = {}
        """By the object's lower-cased name."""

    def __iter__(self) -> Any:
        """Iterate over all rules."""
        return (compiled for rules in self._compiled.values() for compiled in rules)

    def replace_rules(self, rules: Sequence[Rule]) -> None:
        """Replace all rules."""
        self._compiled = {}
        for rule in rules:
            self._compiled.setdefault(rule.object.lower(), []).append(CompiledRule(rule))

    def watches(self, object_name: str) -> bool:
        """Whether a rule exists for the object."""
        return object_name.lower() in self._compiled

    async def fire(
        self, tx: Tx, mirrored: MirroredObject, found: Sequence[Occurrence], at: Millis
    ) -> list[Entry]:
        """Add the deliveries of the fired rules to the outbox; return the journal entries about them."""
        deliveries: list[NewDelivery] = []
        notes: list[Note] = []
        live = [occurrence for occurrence in found if is_live(mirrored, occurrence)]
        for compiled in self._compiled.get(mirrored.name.lower(), ()):
            rule = compiled.rule
            relevant = [occurrence for occurrence in live if applies_to(rule, occurrence.entry.note)]
            if not relevant:
                continue
            self.compile(compiled, mirrored.described)
            errors = []
            for place, occurrence in enumerate(relevant, 1):
                if place % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
                holds, error = _evaluate(compiled, occurrence)
                if holds:
                    deliveries.append(self._delivery(rule, occurrence))
                    notes.append(_fired(rule, occurrence))
                errors.append(error)
            reasons = [error for error in errors if error is not None]
            if reasons:
                notes.append(_not_evaluated(rule, mirrored.name, reasons))
                if not compiled.reported:
                    await _report(tx, rule, reasons[-1], mirrored.name, at)
            tx.on_commit(partial(compiled.evaluated, errors[-1]))
        if deliveries:
            await outbox.add(tx, deliveries, at)
        return await self._journal.append(tx, at, notes) if notes else []

    def compile(self, compiled: CompiledRule, table: Table) -> None:
        """Compile a rule for a table, or set its `error`."""
        if compiled.table is not table:
            compiled.table, compiled.when, compiled.error = table, None, None
            compiled.reported = False
            try:
                compiled.when = When(compiled.rule.when, table.schema)
            except ValueError as error:
                compiled.error = str(error).partition(";")[0]

    def _delivery(self, rule: Rule, occurrence: Occurrence) -> NewDelivery:
        note = occurrence.entry.note
        document = {
            "v": 1,
            "rule": rule.name,
            "event": self._render(occurrence.entry),
            "record": as_dict(occurrence.new),
            "old": None if occurrence.old is None else as_dict(occurrence.old),
        }
        return NewDelivery(
            webhook_id=new_webhook_id(self._random_bytes),
            rule=rule.name,
            destination=rule.action.destination,
            object=note.object or "",
            record=note.id or "",
            event=occurrence.entry.seq,
            body=msgspec.json.encode(document),
        )


def _evaluate(compiled: CompiledRule, occurrence: Occurrence) -> tuple[bool, str | None]:
    """Whether a rule's condition holds for a change, or the reason if it cannot be evaluated."""
    if compiled.when is None:
        return False, compiled.error
    try:
        return compiled.when.holds(occurrence.new, occurrence.old), None
    except ValueError as error:
        return False, f"`when` cannot be evaluated: {error}"


async def _report(tx: Tx, rule: Rule, error: str, object_name: str, at: Millis) -> None:
    """Report a rule's first failure in the error log."""
    log.warning("rule failed", rule=rule.name, object=object_name)
    await error_log.add(tx, to_iso(at), RuleFailed.__name__, f"rule {rule.name}: {error}", object_name)


def applies_to(rule: Rule, note: Note) -> bool:
    """Whether a rule covers the operation and source of a change, whatever its `when`."""
    return note.op in rule.on and note.source in rule.sources


def new_webhook_id(random_bytes: Callable[[int], bytes]) -> str:
    """Create the id of a delivery, the same for all its attempts."""
    return f"rts_{random_bytes(12).hex()}"


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


def _not_evaluated(rule: Rule, object_name: str, reasons: Sequence[str]) -> Note:
    changes = plural(len(reasons), "change")
    return Note(
        type="rule",
        object=object_name,
        outcome="error",
        message=f"{rule.name} could not be evaluated for {changes}: {reasons[-1]}",
        detail={"rule": rule.name, "changes": len(reasons)},
    )
