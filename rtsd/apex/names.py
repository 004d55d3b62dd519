"""The names of the generated triggers: unique, valid Apex identifiers of at most 40 characters."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

PREFIX = "RTS_"
MAX_LENGTH = 40
"""The maximum of ApexTrigger is not documented; that of object names is 40 characters."""

RESERVED = frozenset(
    {
        "rts_answer", "rts_batch", "rts_catalog", "rts_change", "rts_change_event", "rts_channel",
        "rts_conditions", "rts_config", "rts_difference", "rts_document", "rts_errors", "rts_exit",
        "rts_gateway", "rts_golden", "rts_handler", "rts_heartbeat", "rts_heartbeat_test", "rts_mock",
        "rts_persons", "rts_ping", "rts_probe", "rts_relay", "rts_removal_test", "rts_retry", "rts_rows",
        "rts_schedule", "rts_sender", "rts_sending_test", "rts_signature", "rts_status", "rts_stream",
        "rts_stream_test", "rts_subscription", "rts_synced_field", "rts_test", "rts_test_rows",
        "rts_test_saves", "rts_trigger_test", "rts_triggers", "rts_version",
    }
)  # fmt: skip
"""The package's own classes and triggers, in lower case: a trigger would hide a class of the same name."""

_OBJECT = re.compile(r"[A-Za-z](?:_{0,2}[A-Za-z0-9])*", re.ASCII)


def trigger_name(object_name: str) -> str:
    """Return the preferred trigger name of an object, such as `RTS_Contact`.

    `__c` is dropped and double underscores become single ones, as identifiers must not contain double ones
    (Apex Developer Guide, Variables). Raises ValueError for an invalid API name.
    """
    if not _OBJECT.fullmatch(object_name):
        raise ValueError(f"{object_name!r} is not the API name of an object")
    name = PREFIX + object_name.removesuffix("__c").replace("__", "_")
    if len(name) <= MAX_LENGTH and name.lower() not in RESERVED:
        return name
    return _hashed(object_name)


def trigger_names(objects: Iterable[str]) -> dict[str, str]:
    """Return the trigger name of each object, sorted by object. Raises ValueError as `trigger_name`.

    If two objects prefer the same name (`Invoice` and `Invoice__c`, `a__b__c` and `a_b__c`), those with a
    double underscore get a hash of their full name as a suffix.
    """
    wanted = {name: trigger_name(name) for name in sorted(set(objects))}
    claims = Counter(name.lower() for name in wanted.values())
    return {
        obj: _hashed(obj) if claims[name.lower()] > 1 and "__" in obj else name
        for obj, name in wanted.items()
    }


def _hashed(object_name: str) -> str:
    digest = hashlib.sha256(object_name.encode()).hexdigest()[:8]
    base = (PREFIX + object_name.removesuffix("__c").replace("__", "_"))[: MAX_LENGTH - len(digest) - 1]
    return f"{base.rstrip('_')}_{digest}"
