"""Names of the generated triggers: unique, legal Apex identifiers, at most 40 characters."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

PREFIX = "RTS_"
LONGEST = 40
"""ApexTrigger's real maximum is not documented; objects' own names end at 40, so these do too."""

RESERVED = frozenset(
    {
        "rts_answer", "rts_batch", "rts_change", "rts_change_event", "rts_conditions", "rts_config",
        "rts_difference", "rts_document", "rts_errors", "rts_exit", "rts_gateway", "rts_golden",
        "rts_handler", "rts_heartbeat", "rts_mock", "rts_ping", "rts_relay", "rts_retry", "rts_rows",
        "rts_schedule", "rts_sender", "rts_sending_test", "rts_test", "rts_test_rows",
        "rts_trigger_test", "rts_triggers", "rts_version",
    }
)  # fmt: skip
"""The package's own classes and triggers, in lower case: a trigger hides a class of its name from itself."""

_OBJECT = re.compile(r"[A-Za-z](?:_{0,2}[A-Za-z0-9])*", re.ASCII)


def trigger_name(object_name: str) -> str:
    """Return the trigger's name for an object, where no other object claims it: `RTS_Contact`.

    `__c` is left off and a double underscore becomes one, as an identifier may not hold two in a row
    (Apex Developer Guide, Variables). Raises ValueError for what is no API name.
    """
    if not _OBJECT.fullmatch(object_name):
        raise ValueError(f"{object_name!r} is not the API name of an object")
    name = PREFIX + object_name.removesuffix("__c").replace("__", "_")
    if len(name) <= LONGEST and name.lower() not in RESERVED:
        return name
    return _hashed(object_name)


def trigger_names(objects: Iterable[str]) -> dict[str, str]:
    """Return each object's trigger, sorted by object; raises ValueError as `trigger_name` does.

    Where two objects claim one name (`Invoice` and `Invoice__c`, `a__b__c` and `a_b__c`), those with a
    double underscore get a hash of their whole name at the end.
    """
    wanted = {name: trigger_name(name) for name in sorted(set(objects))}
    claims = Counter(name.lower() for name in wanted.values())
    return {
        obj: _hashed(obj) if claims[name.lower()] > 1 and "__" in obj else name
        for obj, name in wanted.items()
    }


def _hashed(object_name: str) -> str:
    digest = hashlib.sha256(object_name.encode()).hexdigest()[:8]
    base = (PREFIX + object_name.removesuffix("__c").replace("__", "_"))[: LONGEST - len(digest) - 1]
    return f"{base.rstrip('_')}_{digest}"
