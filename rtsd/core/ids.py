"""Salesforce record ids: 15 case-sensitive characters, or 18 with a checksum of their case."""

from __future__ import annotations

import re

_CHECKSUM = {f"{place:05b}"[::-1]: letter for place, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345")}
"""The checksum letter for five characters, by their case."""
_CASES = str.maketrans(
    dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "1")
    | dict.fromkeys("abcdefghijklmnopqrstuvwxyz0123456789", "0")
)
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")


def is_id(text: str) -> bool:
    """Whether `text` has the form of a record id (15 or 18 letters and digits)."""
    return _ID.fullmatch(text) is not None


def checked_id(text: str) -> str:
    """Return the 18-character form of an id that a person or another program gave.

    Raises ValueError if `text` is not an id, or if its checksum belongs to another one: a mistyped id, or one
    whose case was lost, would name another record.
    """
    found = full_id(text)
    if text[15:] and text[15:].upper() != found[15:]:
        raise ValueError(
            f"{text!r} is not a Salesforce id: its last three characters do not fit (those of {text[:15]} are"
            f" {found[15:]}), so a character is wrong, or upper and lower case were lost"
        )
    return found


def full_id(text: str) -> str:
    """Return the 18-character form, the only form stored.

    Each of the three checksum letters encodes the case of five characters. That is not documented, but every
    example in Salesforce's guides conforms. The suffix of an 18-character id is recomputed too, so that a
    suffix in the wrong case cannot name a second record.
    Raises ValueError if `text` is not an id.
    """
    if not is_id(text):
        raise ValueError(f"{text[:40]!r} is not a Salesforce id (15 or 18 letters and digits)")
    stem = text[:15]
    cases = stem.translate(_CASES)
    return stem + _CHECKSUM[cases[:5]] + _CHECKSUM[cases[5:10]] + _CHECKSUM[cases[10:]]
