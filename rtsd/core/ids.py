"""Salesforce record ids: 15 case-sensitive characters, or 18 with a checksum of their case."""

from __future__ import annotations

import re

_CHECKSUM = {f"{place:05b}"[::-1]: letter for place, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345")}
"""The letter for five characters, by which of them are upper case."""
_CASES = str.maketrans(
    dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "1")
    | dict.fromkeys("abcdefghijklmnopqrstuvwxyz0123456789", "0")
)
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")


def is_id(text: str) -> bool:
    """Whether `text` has the form of a record id (15 or 18 letters and digits)."""
    return _ID.fullmatch(text) is not None


def full_id(text: str) -> str:
    """Return the 18-character form, the only one stored.

    The checksum letters encode which of the 15 are upper case, five a letter: not documented, but the
    examples in Salesforce's guides hold to it. An 18-character id is rebuilt too, so a wrongly cased
    suffix cannot name a second record.
    Raises ValueError when it is no id.
    """
    if not is_id(text):
        raise ValueError(f"{text[:40]!r} is not a Salesforce id (15 or 18 letters and digits)")
    stem = text[:15]
    cases = stem.translate(_CASES)
    return stem + _CHECKSUM[cases[:5]] + _CHECKSUM[cases[5:10]] + _CHECKSUM[cases[10:]]
