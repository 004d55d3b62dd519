"""When rows that the org no longer shows are not believed to be deleted."""

from __future__ import annotations

FEW = 20
"""So many rows may vanish at a time without a trace; hard deletes by hand look like this."""
SHARE = 20
"""Above that, one row in so many: more is a lost permission or a changed filter, not a deletion."""


def believable(vanished: int, rows: int) -> bool:
    """Whether so many of `rows` may be taken for deleted, though no bin and no delete log knows them.

    If not, nothing is deleted, and the object is shown as incomplete.
    """
    return vanished <= max(FEW, rows // SHARE)
