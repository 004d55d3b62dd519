"""Freshness: the delay from the org's commit to the mirror's, per object."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from rtsd.core.change import Source
from rtsd.core.instant import Millis

SAMPLES = 1_000
"""Latencies kept for one object's percentiles."""

Latency = tuple[Source, Millis]
"""The source of a change, and its delay in ms."""


@dataclass(slots=True)
class Freshness:
    """The delays of an object's latest changes."""

    latencies: deque[Latency] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    last_change_at: str | None = None
    loaded_from: Millis = 0
    """The start of the initial audit in this run: delays of earlier changes mean nothing."""

    def applied(self, at: str, latencies: Iterable[Latency]) -> None:
        """Record changes that were applied at `at` (ISO, UTC)."""
        self.last_change_at = at
        self.latencies.extend(latencies)

    def loaded(self, since: Millis) -> None:
        """Measure only changes made from `since` (ms) on."""
        self.loaded_from = since
