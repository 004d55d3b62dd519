"""What a rule would have fired: its condition held against the changes that the journal remembers.

Each record is followed back from how it stands now, by the values each change replaced. Values that changed
without an entry, as formulas do, are taken as they stand now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtsd.core.instant import Millis, to_iso
from rtsd.errors import Conflict
from rtsd.rules.match import is_asked
from rtsd.rules.rule import Rule
from rtsd.store import journal, mirror
from rtsd.store.database import Database
from rtsd.store.journal import Entry
from rtsd.store.when import When
from rtsd.sync.mirrored_object import MirroredObject

MOST_CONSIDERED = 50_000
"""The newest changes that are looked at: a few seconds."""
MOST_SHOWN = 1_000
AT_ONCE = 200
"""Records after which others get their turn."""

Values = Mapping[str, Any]


@dataclass(slots=True)
class DryRun:
    """What was found: `entries` oldest first."""

    considered: int = 0
    matched: int = 0
    entries: list[Entry] = field(default_factory=list)
    truncated: bool = False


async def run(database: Database, mirrored: MirroredObject, rule: Rule, since: Millis) -> DryRun:
    """Hold a rule against every change of its object since then. Raises Conflict when it cannot be."""
    if mirrored.table is None:
        raise Conflict(f"{mirrored.name} has not been described yet", "wait until it is loading")
    try:
        when = When(rule.when, mirrored.table.schema)
    except ValueError as error:
        raise Conflict(f"{rule.name} cannot be evaluated: {error}", "correct its `when`") from error
    async with database.apart() as reader:
        found = await journal.applied_since(reader, mirrored.name, to_iso(since), MOST_CONSIDERED + 1)
    result = DryRun(truncated=len(found) > MOST_CONSIDERED)
    by_record: dict[str, list[tuple[Entry, Values | None]]] = {}
    for entry, before in found[:MOST_CONSIDERED]:
        by_record.setdefault(entry.note.id or "", []).append((entry, before))
    matches = []
    for place, (record_id, steps) in enumerate(by_record.items()):
        now = await mirror.record(database, mirrored.table, record_id)
        for entry, new, old in _states((now or {}).get("values") or {}, steps):
            if is_asked(rule, entry.note):
                result.considered += 1
                if _holds(when, new, old):
                    matches.append(entry)
        if place % AT_ONCE == 0:
            await asyncio.sleep(0)
    matches.sort(key=lambda entry: entry.seq)
    result.matched = len(matches)
    result.entries = matches[-MOST_SHOWN:]
    result.truncated |= len(matches) > MOST_SHOWN
    return result


def _states(
    now: Values, steps: list[tuple[Entry, Values | None]]
) -> Iterator[tuple[Entry, Values, Values | None]]:
    """Yield each entry (newest first) with the record after and before it, as a rule sees them."""
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
    """A record that cannot be judged fires nothing, as it would not."""
    try:
        return when.holds(new, old)
    except ValueError:
        return False
