"""A problem for an operator: what is wrong, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not work, or not fully, and the way to put it right."""

    what: str
    do: str
