"""What a dead letter's reason means, what to do, and how a retry ended. Never a value of a record."""

from __future__ import annotations

from typing import NamedTuple

APPLIED, DELIVERED, FAILED, WAITING = "applied", "delivered", "failed", "waiting"
"""The outcomes of a retry: the push was applied, the message delivered, it failed again, or still waits."""


class Explanation(NamedTuple):
    """A reason in words, `{object}` being the letter's object, and the next step."""

    why: str
    do: str


EXPLANATIONS = {
    "UnknownObject": Explanation(
        "{object} is not mirrored",
        "Add an [[objects]] section for it to rtsd.toml, restart rtsd, and retry; or drop it.",
    ),
    "UnknownField": Explanation(
        "a field is not in the mirror", "rtsd retries it by itself once the field is there."
    ),
    "BadValue": Explanation(
        "a value does not fit its field", "Compare the record with the org (`rtsd why`), then drop it."
    ),
    "MalformedPush": Explanation(
        "it is no push document", "See `rtsd package status` for another version, then drop it."
    ),
    "WrongOrg": Explanation("another org pushed it", "Clear Token__c in that org, then drop it."),
    "Undelivered": Explanation("the receiver did not accept it", "Check the receiver, then retry."),
}
"""By the reason of a dead letter."""

_OTHER = Explanation("{reason}", "See the error's name in docs/operations.md.")


def explanation(reason: str, object_name: str | None) -> Explanation:
    """Return why a letter is dead, and what to do about it."""
    found = EXPLANATIONS.get(reason, _OTHER)
    return found._replace(why=found.why.format(object=object_name or "its object", reason=reason))
