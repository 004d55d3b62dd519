"""The schedule: how often rtsd reads what."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import Millis


@dataclass(frozen=True, slots=True)
class Schedule:
    """The durations of `[sync]`, in ms (contract section 2)."""

    silence_after: Millis
    interval: Millis
    fingerprint_every: Millis
    """0: only at an operator's request."""
    formula_refresh: Millis
    """0: never."""
    initial_audit: str
    """auto: load new objects immediately; ask: wait for an operator."""
    fresh_goal: Millis
    """The time within which 95 of 100 changes are to be in the mirror."""


class CurrentSchedule:
    """A callable that returns the schedule as of the last reload."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def __call__(self) -> Schedule:
        """Return the schedule."""
        return self._schedule

    def replace(self, schedule: Schedule) -> None:
        """Replace the schedule."""
        self._schedule = schedule
