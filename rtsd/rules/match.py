"""Which rules a change fires: asked in the transaction that applied it, answered into the outbox.

A rule whose `when` cannot be evaluated fires nothing and says so: in `GET /v1/rules`, in the error log when
it begins, and in the journal for the changes it did not judge.
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

BREATH = 200
"""Changes that are judged at a stretch: a few milliseconds, then others get their turn."""
_CREATED = "CreatedDate"

log = structlog.get_logger("rtsd.rules")

ShownEntry = Callable[[Entry], object]
"""How an entry of the journal looks on the wire."""


@dataclass(slots=True)
class Standing:
    """A rule, compiled for the table its object has now, and why it cannot be evaluated."""

    rule: Rule
    table: Table | None = None
    when: When | None = None
    error: str | None = None


def is_live(mirrored: MirroredObject, one: Occurrence) -> bool:
    """Whether a change happened, rather than being found by the read that fills the mirror.

    While an object is loaded, a read of a record that is new here tells nothing of when it was created;
    only CreatedDate does.
    """
    note = one.entry.note
    if mirrored.loaded or note.source == "push" or one.old is not None:
        return True
    created = one.new.get(_CREATED)
    return bool(created) and from_iso(str(created)) >= mirrored.loaded_from > 0


class Matcher:
    """Holds the rules against changes; `Applier.triggers` is one."""

    def __init__(self, journal: Journal, shown: ShownEntry) -> None:
        self._journal = journal
        self._shown = shown
        self._standings: dict[str, list[Standing]] = {}
        """By the object's name, in lower case."""

    def __iter__(self) -> Any:
        """Iterate over the standings of all rules."""
        return (one for standings in self._standings.values() for one in standings)

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Take rules up, instead of those there were."""
        self._standings = {}
        for rule in rules:
            self._standings.setdefault(rule.object.lower(), []).append(Standing(rule))

    def watches(self, object_name: str) -> bool:
        """Whether a rule waits for changes of that object."""
        return object_name.lower() in self._standings

    async def fire(
        self, tx: Tx, mirrored: MirroredObject, found: Sequence[Occurrence], at: Millis
    ) -> list[Entry]:
        """Put what the changes fire into the outbox; return the journal's entries about it."""
        deliveries: list[NewDelivery] = []
        notes: list[Note] = []
        live = [one for one in found if is_live(mirrored, one)]
        for standing in self._standings.get(mirrored.name.lower(), ()):
            broken = standing.error
            asked = [one for one in live if is_asked(standing.rule, one.entry.note)]
            failed = 0
            for place, one in enumerate(asked, 1):
                if place % BREATH == 0:
                    await asyncio.sleep(0)
                if not self._holds(standing, mirrored.described, one):
                    failed += standing.error is not None
                    continue
                deliveries.append(self._delivery(standing.rule, one))
                notes.append(_fired(standing.rule, one))
            if failed:
                notes.append(_not_judged(standing, mirrored, failed))
                if broken is None:
                    await self._report(tx, standing, mirrored, at)
        if deliveries:
            await outbox.add(tx, deliveries, at)
        return await self._journal.append(tx, at, notes) if notes else []

    def compile(self, standing: Standing, table: Table) -> None:
        """Hold a rule ready for a table; what is wrong with it is in its `error`."""
        if standing.table is not table:
            standing.table, standing.when, standing.error = table, None, None
            try:
                standing.when = When(standing.rule.when, table.schema)
            except ValueError as error:
                standing.error = str(error).partition(";")[0]

    def _holds(self, standing: Standing, table: Table, one: Occurrence) -> bool:
        self.compile(standing, table)
        if standing.when is None:
            return False
        try:
            holds = standing.when.holds(one.new, one.old)
        except ValueError as error:
            standing.error = f"`when` cannot be evaluated: {error}"
            return False
        standing.error = None
        return holds

    def _delivery(self, rule: Rule, one: Occurrence) -> NewDelivery:
        note = one.entry.note
        document = {
            "v": 1,
            "rule": rule.name,
            "event": self._shown(one.entry),
            "record": one.new,
            "old": one.old,
        }
        return NewDelivery(
            webhook_id=new_webhook_id(),
            rule=rule.name,
            destination=rule.action.destination,
            object=note.object or "",
            record=note.id or "",
            event=one.entry.seq,
            body=msgspec.json.encode(document),
        )

    async def _report(self, tx: Tx, standing: Standing, mirrored: MirroredObject, at: Millis) -> None:
        """Put it where people look: once, when it begins."""
        message = f"rule {standing.rule.name}: {standing.error}"
        log.warning("rule failed", rule=standing.rule.name, object=mirrored.name)
        await error_log.add(tx, to_iso(at), RuleFailed.__name__, message, mirrored.name)


def is_asked(rule: Rule, note: Note) -> bool:
    """Whether a rule is for changes of this kind, whatever its `when`."""
    return note.op in rule.on and note.source in rule.sources


def new_webhook_id() -> str:
    """Make the id of a delivery, the same on all its tries."""
    return f"rts_{secrets.token_hex(12)}"


def _fired(rule: Rule, one: Occurrence) -> Note:
    note = one.entry.note
    return Note(
        type="rule",
        object=note.object,
        id=note.id,
        outcome="fired",
        message=f"{rule.name} fired",
        detail={"rule": rule.name, "event": one.entry.seq},
    )


def _not_judged(standing: Standing, mirrored: MirroredObject, failed: int) -> Note:
    changes = "a change" if failed == 1 else f"{failed} changes"
    return Note(
        type="rule",
        object=mirrored.name,
        outcome="error",
        message=f"{standing.rule.name} could not be evaluated for {changes}: {standing.error}",
        detail={"rule": standing.rule.name, "changes": failed},
    )
