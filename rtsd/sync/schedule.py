"""How often things are due."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import Millis


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often things are due, in ms (contract section 2, `[sync]`)."""

    silence_after: Millis
    interval: Millis
    fingerprint_every: Millis
    """0: only when an operator asks."""
    formula_refresh: Millis
    """0: formulas are never refreshed."""
    initial_audit: str
    """auto: load when there is nothing yet; ask: wait for an operator."""


class CurrentSchedule:
    """The schedule as of the last reload: call it to read it."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def __call__(self) -> Schedule:
        """Return the schedule."""
        return self._schedule

    def replace(self, schedule: Schedule) -> None:
        """Go by another one from now on."""
        self._schedule = schedule
