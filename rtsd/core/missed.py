"""The words about changes that came by no push: the same on the terminal and in the dashboard."""

from __future__ import annotations

from rtsd.core.plural import plural

STILL = "still"
"""In place of the end of a spell that goes on: no push has come since."""


def pushes(*, is_missed: bool) -> str:
    """Say whether pushes should have brought the changes of a spell."""
    return "missed" if is_missed else "not due"


def outcome(missed: int, since: str) -> str:
    """Say how many pushes were missed since a moment, and what became of the changes."""
    if not missed:
        return f"No push was missed since {since}."
    return (
        f"{plural(missed, 'change')} should have come by a push since {since}, and did not;"
        " reads found them, and they are in the mirror."
    )
