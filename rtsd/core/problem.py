"""Problems reported to operators, with the action to take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that prevents or limits operation, and what to do about it."""

    what: str
    do: str
    awaits_setup: bool = False
    """Whether it is solved by a step of the setup that is still to come, such as the package's deployment."""
