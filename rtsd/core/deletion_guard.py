"""The limit above which missing rows are not taken for deletions."""

from __future__ import annotations

FEW = 20
"""Rows that may vanish at once without a trace, as hard deletes by hand do."""
SHARE = 20
"""Beyond `FEW`, one row in this many. More points to a lost permission or a changed filter."""


def is_plausible(vanished: int, rows: int) -> bool:
    """Whether `vanished` of `rows` rows may be deletions, though neither bin nor delete log lists them.

    If not, delete nothing and report the object as incomplete.
    """
    return vanished <= max(FEW, rows // SHARE)
