"""Spells without pushes: when changes came by no push, why, how many and which."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from rtsd.core.instant import Millis, to_iso
from rtsd.core.mode import Mode
from rtsd.core.silence import Cause
from rtsd.store import journal
from rtsd.store.database import Database
from rtsd.store.journal import Entry, UnpushedChange
from rtsd.sync.missed_pushes import NOTHING_EXPECTED, MissedPushes

MOST = 20_000
"""Changes that are considered: each takes some hundred bytes."""

_AT = attrgetter("at")
_BY_DESIGN = {
    Cause.FILTERED: "no sync condition watches the changed fields",
    Cause.UNCOVERED: "nothing pushes changes of this object",
}
_ALONE = "pushes for other records came, none for these"
_SINCE = "no push has come since"
_RESTARTED = "rtsd was stopped, or restarted"


@dataclass(frozen=True, slots=True)
class Spell:
    """Changes without a push that have one reason."""

    since: str
    """The last push before, else when the first change was made (ISO)."""
    until: str | None
    """The first push after, else when the last change was made; None while no push has come."""
    why: str
    is_missed: bool
    """Whether pushes should have delivered the changes."""
    changes: list[UnpushedChange]


async def spells(
    database: Database, missed_pushes: MissedPushes, since: Millis, now: Millis
) -> tuple[list[Spell], bool]:
    """Return the spells since a moment (ms), the earliest first, and whether there are more changes."""
    found = await missed_pushes.unpushed(since, MOST + 1)
    known = found[:MOST]
    shown = [
        *await _without_pushes(database, known, now),
        *(spell for cause in _BY_DESIGN for spell in _by_design(known, cause)),
    ]
    return sorted(shown, key=lambda spell: spell.since), len(found) > MOST


async def _without_pushes(
    database: Database, found: Sequence[tuple[UnpushedChange, Cause]], now: Millis
) -> list[Spell]:
    """Return the times between two pushes in which changes were made that neither brought."""
    missed = {change.seq for change, cause in found if cause is Cause.MISSED}
    waiting = [change for change, cause in found if cause in {Cause.MISSED, Cause.UNEXPECTED}]
    waiting.sort(key=lambda change: change.made_at, reverse=True)
    shown, modes = [], None
    while waiting:
        first = to_iso(waiting[-1].made_at)
        before, after = await journal.pushes_around(database, first)
        changes = [waiting.pop()]
        while waiting and (after is None or to_iso(waiting[-1].made_at) < after):
            changes.append(waiting.pop())
        begin, end = before or first, after or to_iso(now)
        is_missed = any(change.seq in missed for change in changes)
        otherwise = _ALONE if after else _SINCE
        modes = await journal.modes(database, begin) if modes is None else modes
        why = _why(modes, begin, end) or (otherwise if is_missed else NOTHING_EXPECTED)
        shown.append(Spell(begin, after, why, is_missed, changes))
    return shown


def _why(modes: Sequence[Entry], begin: str, end: str) -> str:
    """Return why no push came, by the modes from before the spell to after it; empty if they do not tell."""
    first, last = bisect_left(modes, begin, key=_AT), bisect_right(modes, end, key=_AT)
    reasons: dict[str, None] = {}
    before = None
    for entry in modes[max(first - 1, 0) : last + 1]:
        detail = entry.note.detail or {}
        if before is not None and detail.get("from") != before:
            reasons[_RESTARTED] = None  # a start is not journalled; what follows differs from what was
        before = detail.get("to")
        if before != Mode.REAL_TIME and entry.at <= end:
            reasons[(entry.note.message or "").partition(": ")[2]] = None
    return "; ".join(reasons)


def _by_design(found: Iterable[tuple[UnpushedChange, Cause]], cause: Cause) -> list[Spell]:
    """Return the changes that are not to be pushed, of each object."""
    by_object: dict[str, list[UnpushedChange]] = {}
    for change, own in found:
        if own is cause:
            by_object.setdefault(change.object, []).append(change)
    return [
        Spell(
            to_iso(min(change.made_at for change in changes)),
            to_iso(max(change.made_at for change in changes)),
            _BY_DESIGN[cause],
            is_missed=False,
            changes=changes,
        )
        for changes in by_object.values()
    ]
