"""What an org's own rules refuse: validation rules, required lookups, duplicate rules, flows and triggers.

The place of each in a save is that of the order of execution (Apex Developer Guide, Triggers and Order of
Execution): flows that run before the save, before triggers, required fields and validation rules, duplicate
rules, after triggers. Codes are those of the REST API guide (Status Codes and Error Responses) and of Apex's
StatusCode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtssim.interface import OrgError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rule: the error of a refused save, and whether before triggers have run by then."""

    code: str
    message: str
    after_before_triggers: bool


KINDS = {
    "before_flow": Kind(
        "CANNOT_EXECUTE_FLOW_TRIGGER",
        "We can't save this record because the “Check” process failed.",
        after_before_triggers=False,
    ),
    "before_trigger": Kind(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "TheirTrigger: execution of BeforeInsert caused by: System.NullPointerException:"
        " Attempt to de-reference a null object",
        after_before_triggers=False,
    ),
    "required_lookup": Kind(
        "REQUIRED_FIELD_MISSING", "Required fields are missing: [Sponsor__c]", after_before_triggers=True
    ),
    "validation_rule": Kind(
        "FIELD_CUSTOM_VALIDATION_EXCEPTION", "The branch office is missing.", after_before_triggers=True
    ),
    "duplicate_rule": Kind(
        "DUPLICATES_DETECTED", "You're creating a duplicate record.", after_before_triggers=True
    ),
}


class OrgRules:
    """The rules by object, each of which refuses every save of its object, or those without some field.

    A test of a package does not know the field, and does not fill it.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, str]] = {}

    def add(self, obj: str, kind: str, unless: str = "") -> None:
        """Add a rule; rows with a value in the field `unless` pass. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
        self._kinds.setdefault(obj, {})[kind] = unless

    def clear(self) -> None:
        """Remove all rules."""
        self._kinds.clear()

    def check(self, obj: str, row: Mapping[str, Any]) -> None:
        """Raise the error of the first rule that refuses to save this row of an object."""
        kinds = self._kinds.get(obj, {})
        for kind, refusal in KINDS.items():
            if kind in kinds and not row.get(kinds[kind]):
                raise OrgError(400, refusal.code, refusal.message)

    def reaches(self, obj: str, event: str) -> bool:
        """Return whether a save reaches triggers of this event, such as `before insert`."""
        kinds = self._kinds.get(obj, {})
        if event.startswith("before "):
            return all(KINDS[kind].after_before_triggers for kind in kinds)
        return not kinds
