"""Counts in messages: a number with its noun, and a verb that agrees with it."""

from __future__ import annotations

VOWELS = "aeiou"
_SIBILANT = ("s", "sh", "ch", "x")
_IRREGULAR = {"are": "is", "were": "was", "have": "has"}


def plural(number: int, noun: str, verb: str = "") -> str:
    """Return a number with its noun: `1 object`, `3,000 objects`, `2 tries`, `5 pushes`.

    `noun` is the singular; of several words, the last one is inflected. `verb` is the plural: with `differ`
    it is `1 row differs` and `2 rows differ`.
    """
    counted = f"1 {noun}" if number == 1 else f"{number:,} {_many(noun)}"
    return f"{counted} {_agreeing(number, verb)}" if verb else counted


def _agreeing(number: int, verb: str) -> str:
    return verb if number != 1 else _IRREGULAR.get(verb, f"{verb}s")


def _many(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in VOWELS:
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(_SIBILANT) else f"{noun}s"
