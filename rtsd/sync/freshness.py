"""How late changes were in the mirror, per object."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from rtsd.core.change import Source
from rtsd.core.instant import Millis

SAMPLES = 1_000
"""Latencies kept for the percentiles of one object."""

Latency = tuple[Source, Millis]
"""How late a change was in the mirror, and which source brought it."""


@dataclass(slots=True)
class Freshness:
    """How late changes were in the mirror."""

    latencies: deque[Latency] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    last_change_at: str | None = None
    loaded_from: Millis = 0
    """When this run began the initial audit: what changed before was not late."""

    def applied(self, at: str, latencies: Iterable[Latency]) -> None:
        """Take changes that were applied at a moment."""
        self.last_change_at = at
        self.latencies.extend(latencies)

    def loaded(self, since: Millis) -> None:
        """Measure changes since then."""
        self.loaded_from = since
