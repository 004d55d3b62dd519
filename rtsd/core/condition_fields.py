"""Fields that cannot be sync conditions, whose change makes the package push, and what to name instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

_EVERY_SAVE = frozenset({"systemmodstamp", "lastmodifieddate", "lastmodifiedbyid"})
_NEVER = frozenset({"id", "createddate", "createdbyid"})
STAMPS = _EVERY_SAVE | _NEVER
"""Audit fields (Object Reference, System Fields), in lower case."""


def unsuitable(fields: Iterable[str], compounds: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a reason for each of the fields that cannot be a condition.

    `compounds` are the object's compound fields with their components, such as `MailingAddress`: their
    components change, and Apex does not compare the whole.
    """
    parts = {name.lower(): components for name, components in compounds.items()}
    reasons = []
    for name in fields:
        lower = name.lower()
        if lower in parts:
            reasons.append(f"{name} is a compound field: name {', '.join(parts[lower])} instead")
        elif lower in _EVERY_SAVE:
            reasons.append(f"{name} changes with every save, so every update would be pushed")
        elif lower in _NEVER:
            reasons.append(f"{name} never changes")
    return reasons
