"""A record traced back through the journal, change by change, to all of its versions.

The journal has the values that a change replaced, not those that it brought. So a version has what the
changes after it replaced, else what the record has now. Values that changed without an entry, such as
formulas, are the last ones that were seen in the version. `rtsd.store.past` is the same rule in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from rtsd.core.values import MirrorValue

Values = Mapping[str, MirrorValue]


class Step(NamedTuple):
    """An applied change of a record; `replaced` is None if the record was new to the mirror."""

    at: str
    op: str | None
    source: str | None
    replaced: Values | None
    master: str | None = None
    """The winner, where a merge deleted the record."""


class Present(NamedTuple):
    """A record as it is: its row, or the last values of a deleted one; None where there are none."""

    values: Values | None
    stamp: str | None
    """The field that orders versions, if there is one."""
    source: str | None = None
    seen_at: str | None = None
    """When a row was last seen: what begins it where there is no stamp."""
    deleted_at: str | None = None
    master: str | None = None


class Version(NamedTuple):
    """A version of a record, from `begin` up to but excluding `end`, in ISO 8601."""

    values: Values
    """Those that are known."""
    begin: str | None
    """None where nothing tells."""
    end: str | None
    """None of the present one."""
    op: str | None = None
    """What began it: create, update, undelete; None for what was there when the journal begins."""
    source: str | None = None
    """What brought it; None where the journal does not know it any more."""
    ended_by: str | None = None
    master: str | None = None


def values_before(operation: str | None, replaced: Values | None, after: Values | None) -> Values | None:
    """Return a record's values before a change, None if it was not in the mirror or nothing tells.

    `replaced` are the values that the change replaced, those of the whole record if it deleted it, None if
    the record was new to the mirror; `after` are the record's values after the change.
    """
    if operation == "delete":
        return replaced
    if replaced is None or after is None:
        return None
    return {**after, **replaced}


def moments(steps: Sequence[Step]) -> list[str]:
    """Return when each step was applied; where the clock was set back, when those before it were."""
    return list(accumulate((step.at for step in steps), max))


def versions(steps: Sequence[Step], now: Present, known_since: Mapping[str, str]) -> list[Version]:
    """Return a record's versions, oldest first.

    `steps` are its applied changes, oldest first. `known_since` has since when the mirror has a field, where
    that is later than the object's rows: no version has it that had ended before.
    """
    ends = moments(steps)
    found: list[Version] = []
    if now.deleted_at is None:
        values = now.values
        if values is not None:
            seen = None if now.stamp else now.seen_at
            found.append(_begun(steps, ends, Version(values, seen, None, source=now.source), now.stamp))
    elif not steps and now.values is not None:
        last = Version(now.values, None, now.deleted_at, ended_by="delete", master=now.master)
        found.append(_known(_begun(steps, ends, last, now.stamp), known_since))
    values = now.values if now.deleted_at is None else None
    for place in range(len(steps) - 1, -1, -1):
        step = steps[place]
        values = values_before(step.op, step.replaced, values)
        if values is not None:
            ended = Version(values, None, ends[place], ended_by=step.op, master=step.master)
            begun = _begun(steps[:place], ends, ended, now.stamp)
            found.append(_known(begun, known_since))
    return found[::-1]


def _begun(steps: Sequence[Step], moments: Sequence[str], version: Version, stamp: str | None) -> Version:
    """Return a version with its begin: the last of the steps before it, else its own stamp."""
    if steps:
        last = steps[-1]
        return version._replace(begin=moments[len(steps) - 1], op=last.op, source=last.source)
    begin = version.values.get(stamp) if stamp else None
    if not isinstance(begin, str):
        return version
    return version._replace(begin=begin if version.end is None else min(begin, version.end))


def _known(version: Version, known_since: Mapping[str, str]) -> Version:
    unknown = {name for name, since in known_since.items() if version.end and version.end <= since}
    if unknown.isdisjoint(version.values):
        return version
    values = {name: value for name, value in version.values.items() if name not in unknown}
    return version._replace(values=values)
