"""Dry runs of a rule: its condition evaluated for the changes in the journal.

Each record is traced back from its current values by the values that each change replaced. Values that
changed without an entry, such as formulas, are taken as they are now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtsd.core.instant import Millis, to_iso
from rtsd.errors import Conflict
from rtsd.rules.match import applies_to
from rtsd.rules.rule import Rule
from rtsd.store import journal, mirror
from rtsd.store.database import Database
from rtsd.store.journal import Entry
from rtsd.store.when import When
from rtsd.sync.mirrored_object import MirroredObject

MAX_CONSIDERED = 50_000
"""The newest changes, evaluated within a few seconds."""
MAX_SHOWN = 1_000
YIELD_EVERY = 200
"""Records after which the event loop gets its turn."""

Values = Mapping[str, Any]


@dataclass(slots=True)
class DryRun:
    """The result: the matching `entries`, oldest first."""

    considered: int = 0
    matched: int = 0
    entries: list[Entry] = field(default_factory=list)
    truncated: bool = False


async def run(database: Database, mirrored: MirroredObject, rule: Rule, since: Millis) -> DryRun:
    """Evaluate a rule for every change of its object since `since` (ms). Raises Conflict if it cannot be."""
    if mirrored.table is None:
        raise Conflict(f"{mirrored.name} has not been described yet", "retry once it is loading")
    try:
        when = When(rule.when, mirrored.table.schema)
    except ValueError as error:
        raise Conflict(f"{rule.name} cannot be evaluated: {error}", "correct its `when`") from error
    async with database.apart() as reader:
        found = await journal.applied_since(reader, mirrored.name, to_iso(since), MAX_CONSIDERED + 1)
    result = DryRun(truncated=len(found) > MAX_CONSIDERED)
    by_record: dict[str, list[tuple[Entry, Values | None]]] = {}
    for entry, before in found[:MAX_CONSIDERED]:
        by_record.setdefault(entry.note.id or "", []).append((entry, before))
    matches = []
    for place, (record_id, steps) in enumerate(by_record.items()):
        now = await mirror.record(database, mirrored.table, record_id)
        for entry, new, old in _states((now or {}).get("values") or {}, steps):
            if applies_to(rule, entry.note):
                result.considered += 1
                if _holds(when, new, old):
                    matches.append(entry)
        if place % YIELD_EVERY == 0:
            await asyncio.sleep(0)
    matches.sort(key=lambda entry: entry.seq)
    result.matched = len(matches)
    result.entries = matches[-MAX_SHOWN:]
    result.truncated |= len(matches) > MAX_SHOWN
    return result


def _states(
    now: Values, steps: list[tuple[Entry, Values | None]]
) -> Iterator[tuple[Entry, Values, Values | None]]:
    """Yield each entry, newest first, with the record's values after and before it."""
    state = now
    for entry, before in steps:
        if entry.note.op == "delete":
            state = dict(before or state)
            yield entry, state, state
        elif before is None:
            yield entry, state, None
        else:
            old = {**state, **before}
            yield entry, state, old
            state = old


def _holds(when: When, new: Values, old: Values | None) -> bool:
    """Evaluate the condition; an error fires nothing, as in operation."""
    try:
        return when.holds(new, old)
    except ValueError:
        return False
