"""Which rules a change fires: asked in the transaction that applied it, answered into the outbox.

A rule whose `when` cannot be evaluated fires nothing and says so: in `GET /v1/rules`, in the error log when
it begins, and in the journal for the changes it did not judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import structlog

from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.errors import RuleFailed
from rtsd.rules.rule import Rule
from rtsd.store import error_log, outbox
from rtsd.store.database import Tx
from rtsd.store.journal import Entry, Journal, Note
from rtsd.store.outbox import Posting
from rtsd.store.schema import Table
from rtsd.store.when import When
from rtsd.sync.apply import Occurrence
from rtsd.sync.mirrored_object import MirroredObject

BREATH = 200
"""Changes that are judged at a stretch: a few milliseconds, then others get their turn."""
_CREATED = "CreatedDate"

log = structlog.get_logger("rtsd.rules")

ShownEntry = Callable[[Entry], object]
"""How an entry of the journal looks on the wire."""


@dataclass(slots=True)
class CompiledRule:
    """A rule, compiled for the table its object has now, and why it cannot be evaluated."""

    rule: Rule
    table: Table | None = None
    when: When | None = None
    error: str | None = None
    reported: bool = False
    """Whether the error log has it."""

    def evaluated(self, error: str | None) -> None:
        """Take how the last evaluation ended, once that is committed."""
        self.error, self.reported = error, error is not None


def is_live(mirrored: MirroredObject, one: Occurrence) -> bool:
    """Whether a change happened, rather than being found by the read that fills the mirror.

    While an object is loaded, a read of a record that is new here tells nothing of when it was created;
    only CreatedDate does.
    """
    note = one.entry.note
    if mirrored.loaded or note.source == "push" or one.old is not None:
        return True
    created = one.new.get(_CREATED)
    return bool(created) and from_iso(str(created)) >= mirrored.freshness.loaded_from > 0


class Matcher:
    """Holds the rules against changes: the listener of whoever applies them."""

    def __init__(self, journal: Journal, shown: ShownEntry, random_bytes: Callable[[int], bytes]) -> None:
        self._journal = journal
        self._shown = shown
        self._random_bytes = random_bytes
        self._compiled: dict[str, list[CompiledRule]] = {}
        """By the object's name, in lower case."""

    def __iter__(self) -> Any:
        """Iterate over all rules."""
        return (compiled for rules in self._compiled.values() for compiled in rules)

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Take rules up, instead of those there were."""
        self._compiled = {}
        for rule in rules:
            self._compiled.setdefault(rule.object.lower(), []).append(CompiledRule(rule))

    def watches(self, object_name: str) -> bool:
        """Whether a rule waits for changes of that object."""
        return object_name.lower() in self._compiled

    async def fire(
        self, tx: Tx, mirrored: MirroredObject, found: Sequence[Occurrence], at: Millis
    ) -> list[Entry]:
        """Put what the changes fire into the outbox; return the journal's entries about it."""
        postings: list[Posting] = []
        notes: list[Note] = []
        live = [one for one in found if is_live(mirrored, one)]
        for compiled in self._compiled.get(mirrored.name.lower(), ()):
            rule = compiled.rule
            asked = [one for one in live if is_asked(rule, one.entry.note)]
            if not asked:
                continue
            self.compile(compiled, mirrored.described)
            errors = []
            for place, one in enumerate(asked, 1):
                if place % BREATH == 0:
                    await asyncio.sleep(0)
                holds, error = _evaluate(compiled, one)
                if holds:
                    postings.append(self._posting(rule, one))
                    notes.append(_fired(rule, one))
                errors.append(error)
            reasons = [error for error in errors if error is not None]
            if reasons:
                notes.append(_not_judged(rule, mirrored.name, reasons))
                if not compiled.reported:
                    await _report(tx, rule, reasons[-1], mirrored.name, at)
            tx.on_commit(partial(compiled.evaluated, errors[-1]))
        if postings:
            await outbox.add(tx, postings, at)
        return await self._journal.append(tx, at, notes) if notes else []

    def compile(self, compiled: CompiledRule, table: Table) -> None:
        """Hold a rule ready for a table; what is wrong with it is in its `error`."""
        if compiled.table is not table:
            compiled.table, compiled.when, compiled.error = table, None, None
            compiled.reported = False
            try:
                compiled.when = When(compiled.rule.when, table.schema)
            except ValueError as error:
                compiled.error = str(error).partition(";")[0]

    def _posting(self, rule: Rule, one: Occurrence) -> Posting:
        note = one.entry.note
        document = {
            "v": 1,
            "rule": rule.name,
            "event": self._shown(one.entry),
            "record": one.new,
            "old": one.old,
        }
        return Posting(
            webhook_id=new_webhook_id(self._random_bytes),
            rule=rule.name,
            destination=rule.action.destination,
            object=note.object or "",
            record=note.id or "",
            event=one.entry.seq,
            body=msgspec.json.encode(document),
        )


def _evaluate(compiled: CompiledRule, one: Occurrence) -> tuple[bool, str | None]:
    """Whether a rule's condition holds for a change, or why it cannot be evaluated."""
    if compiled.when is None:
        return False, compiled.error
    try:
        return compiled.when.holds(one.new, one.old), None
    except ValueError as error:
        return False, f"`when` cannot be evaluated: {error}"


async def _report(tx: Tx, rule: Rule, error: str, object_name: str, at: Millis) -> None:
    """Put it where people look: once, when it begins."""
    log.warning("rule failed", rule=rule.name, object=object_name)
    await error_log.add(tx, to_iso(at), RuleFailed.__name__, f"rule {rule.name}: {error}", object_name)


def is_asked(rule: Rule, note: Note) -> bool:
    """Whether a rule is for changes of this kind, whatever its `when`."""
    return note.op in rule.on and note.source in rule.sources


def new_webhook_id(random_bytes: Callable[[int], bytes]) -> str:
    """Make the id of a delivery, the same on all its tries."""
    return f"rts_{random_bytes(12).hex()}"


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


def _not_judged(rule: Rule, object_name: str, reasons: Sequence[str]) -> Note:
    changes = "a change" if len(reasons) == 1 else f"{len(reasons)} changes"
    return Note(
        type="rule",
        object=object_name,
        outcome="error",
        message=f"{rule.name} could not be evaluated for {changes}: {reasons[-1]}",
        detail={"rule": rule.name, "changes": len(reasons)},
    )
