"""Masks that hide values before they reach the disk (contract section 2, `[objects.privacy]`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from rtsd.core.values import MirrorValue

Mask = Callable[[MirrorValue], MirrorValue]
"""Turns a value into the form that may be stored."""


def masks(rules: Mapping[str, str], key: bytes) -> dict[str, Mask]:
    """The masks by lower-cased field name; `key` (up to 64 bytes) makes hashes unique to this mirror.

    A dropped field has no column and therefore needs no mask.
    """

    def hashed(value: MirrorValue) -> MirrorValue:
        if value is None:
            return None
        return hashlib.blake2b(str(value).encode(), digest_size=16, key=key).hexdigest()

    def last_four(value: MirrorValue) -> MirrorValue:
        return None if value is None else str(value)[-4:]

    kinds: dict[str, Mask] = {"hash": hashed, "last4": last_four}
    return {name.lower(): kinds[rule] for name, rule in rules.items() if rule in kinds}
