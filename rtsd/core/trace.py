"""A record traced back through the journal, change by change."""

from __future__ import annotations

from collections.abc import Mapping

from rtsd.core.values import MirrorValue

Values = Mapping[str, MirrorValue]


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
