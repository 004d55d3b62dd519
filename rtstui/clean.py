"""Text from outside made safe to show: every string from the org passes here before it is kept.

A Contact may be called `ESC ] 52 ; c ; ...`, which writes the operator's clipboard when it reaches the
terminal. Nothing between a widget and the terminal removes such bytes, so everything that is decoded
from the socket goes through `clean` (a string) or `scrub` (a wire struct). Markup is no concern here:
nothing in rtstui interprets markup.
"""

from __future__ import annotations

import unicodedata
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

LONGEST = 2_000
"""Characters kept of a string of the feed: twenty thousand entries are in memory."""

LONGEST_VALUE = 131_072
"""Characters kept of a string of a document: Salesforce's longest text (Field Types, Long Text Area)."""

MASK = "•••••"
"""The same for every value, so that its length reveals nothing."""

CONTROL_PICTURES = 0x2400
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
PICTURES = {code: chr(CONTROL_PICTURES + code) for code in range(0x20)} | {0x7F: "\N{SYMBOL FOR DELETE}"}
"""The control characters of ASCII, each with its picture."""
MOST_MARKS = 2
"""Combining marks kept on a character: real scripts use one or two, a prank hundreds."""


def clean(text: str, longest: int = LONGEST) -> str:
    """Return `text` without anything that steers a terminal or reorders the text around it.

    Control characters become their pictures (U+2400 and on); bidirectional overrides, zero-width
    and private characters, line separators and lone surrogates become U+FFFD; text over `longest`
    characters is cut, and ends in an ellipsis and the number of its characters.
    """
    if len(text) > longest:
        more = f"… ({len(text):,} characters)"
        text = text[: longest - len(more)] + more
    if text.isprintable() and text.isascii():
        return text
    if text.isascii():
        return text.translate(PICTURES)
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        if marks <= MOST_MARKS:
            shown.append(character if character.isprintable() else _picture(character))
    return "".join(shown)


def masked(value: object) -> str:
    """Return the mask of a value; an empty value stays empty."""
    return "" if value is None else MASK


def _picture(character: str) -> str:
    code = ord(character)
    if code in PICTURES:
        return PICTURES[code]
    if unicodedata.category(character) == "Zs":
        return " "
    return REPLACEMENT


def scrub(struct: S, longest: int = LONGEST) -> S:
    """Clean every string in a wire struct, however deep, in place; return it."""
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        if value is not None and not isinstance(value, int | float):
            setattr(struct, field, cleaned(value, longest))
    return struct


def cleaned(value: Any, longest: int = LONGEST) -> Any:
    """Return a decoded document with every string in it cleaned, keys too."""
    if isinstance(value, str):
        return clean(value, longest)
    if isinstance(value, msgspec.Struct):
        return scrub(value, longest)
    if isinstance(value, list):
        return [cleaned(item, longest) for item in value]
    if isinstance(value, dict):
        return {clean(str(key)): cleaned(item, longest) for key, item in value.items()}
    return value
