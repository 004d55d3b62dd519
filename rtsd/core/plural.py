"""Counts in messages: a number with its noun."""

from __future__ import annotations

VOWELS = "aeiou"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: `1 object`, `3,000 objects`, `2 tries`.

    `noun` is the singular; of several words, the last one is inflected.
    """
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2] not in VOWELS:
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}s"
