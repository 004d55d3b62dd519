"""Values of fields as text: one alone, and one before and after a change."""

from __future__ import annotations

from typing import Any

import msgspec

from rtsd.control.protocol import FieldChange, ValueChange
from rtsd.core.figures import UNKNOWN
from rtstui.clean import clean, masked

NULL = "null"
"""An empty field; an unknown one looks different."""

SEPARATED_FROM = 10_000
"""The number from which thousands are separated: a year is not."""


def text_of(value: Any, *, mask: bool, grouped: bool = False) -> str:
    """Return a field's value as a line of text; with `grouped`, the thousands of a number separated."""
    if value is None:
        return NULL
    if mask:
        return masked(value)
    if isinstance(value, str):
        return value
    if grouped and isinstance(value, int | float) and abs(value) >= SEPARATED_FROM:
        return f"{value:,}"
    return clean(msgspec.json.encode(value).decode())


def change_text(
    name: str, change: FieldChange | ValueChange, *, mask: bool, longest: int | None = None
) -> str:
    """Return a field's change: `Amount 12,000 → 15,000`; each value in at most `longest` characters."""
    before, after = (_shortened(value, mask, longest) for value in (change.before, change.after))
    return f"{name} {before} → {after}"


def _shortened(value: Any, mask: bool, longest: int | None) -> str:  # noqa: FBT001 (as of change_text)
    if value is msgspec.UNSET:
        return UNKNOWN
    text = text_of(value, mask=mask, grouped=True)
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
