"""Outside text made safe to show: the one place where a string from the org meets the terminal.

A Contact may be called `ESC ] 52 ; c ; ...`, which writes the operator's clipboard when it reaches the
terminal. Nothing between a widget and the terminal takes such bytes out, so everything that is
decoded from the socket goes through `clean` (one string) or `scrub` (a whole wire struct) before it is
kept. Markup is no concern here: nothing in rtstui interprets markup.
"""

from __future__ import annotations

import unicodedata
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

LONGEST = 2_000
"""Characters of one string that are kept; a screen shows fewer."""

MASK = "•••••"
"""The same for every value: its length tells nothing."""

CONTROL_PICTURES = 0x2400
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MOST_MARKS = 2
"""Combining marks on one character that are kept: real scripts use one or two, a prank hundreds."""


def clean(text: str, longest: int = LONGEST) -> str:
    """`text` without anything that steers a terminal or reorders what is around it.

    Control characters become their pictures (U+2400 and on); bidirectional overrides, zero-width
    and private characters, line separators and lone surrogates become U+FFFD; text over `longest`
    characters is cut and ends in an ellipsis.
    """
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        if marks <= MOST_MARKS:
            shown.append(character if character.isprintable() else _picture(character))
    return "".join(shown)


def masked(value: object) -> str:
    """What stands for a value that shall not be seen; whether there is one may be seen."""
    return "" if value is None else MASK


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(CONTROL_PICTURES + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if unicodedata.category(character) == "Zs":
        return " "
    return REPLACEMENT


def scrub(struct: S) -> S:
    """The same wire struct with every string in it cleaned, however deep, in place."""
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        if value is not None and not isinstance(value, int | float):
            setattr(struct, field, cleaned(value))
    return struct


def cleaned(value: Any) -> Any:
    """Any decoded document with every string in it cleaned, keys too."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, msgspec.Struct):
        return scrub(value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(str(key)): cleaned(item) for key, item in value.items()}
    return value
