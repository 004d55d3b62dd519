"""Values of fields as text: one alone, and one before and after a change."""

from __future__ import annotations

from typing import Any

import msgspec

from rtsd.control.protocol import FieldChange
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


def change_text(name: str, change: FieldChange, *, mask: bool) -> str:
    """Return a field's change: `Amount 12,000 → 15,000`."""
    before, after = (text_of(value, mask=mask, grouped=True) for value in (change.before, change.after))
    return f"{name} {before} → {after}"
