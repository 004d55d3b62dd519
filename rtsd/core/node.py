"""The words about nodes that share a mirror: the same on the terminal and in the dashboard."""

from __future__ import annotations

from collections.abc import Sequence

ALONE = "The mirror is in SQLite, and this process alone has it."


def role(*, leader: bool, differs: Sequence[str]) -> str:
    """Say whether a node leads, else in what its configuration differs."""
    if leader:
        return "leads"
    return f"stands by, with other {' and '.join(differs)}" if differs else "stands by"
