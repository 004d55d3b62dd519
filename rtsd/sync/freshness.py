"""Freshness: the delay from the org's commit to the mirror's, per object."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from rtsd.core.change import Source
from rtsd.core.instant import HOUR_MS, Millis, to_iso

SAMPLES = 1_000
"""Latencies kept for one object's percentiles."""

MEASURED_MS: Millis = HOUR_MS
"""What was measured counts for so long: an outage must not be reported for as long as changes are rare."""

Latency = tuple[Source, Millis]
"""The source of a change, and its delay in ms."""


@dataclass(slots=True)
class Freshness:
    """The delays of an object's latest changes."""

    latencies: deque[tuple[Millis, Latency]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    """Each with the moment (ms) at which its change was applied."""
    last_change_at: str | None = None
    loaded_from: Millis = 0
    """The start of the initial audit in this run: delays of earlier changes mean nothing."""

    def applied(self, at: Millis, latencies: Iterable[Latency]) -> None:
        """Record changes that were applied at `at` (ms)."""
        self.last_change_at = to_iso(at)
        self.latencies.extend((at, latency) for latency in latencies)

    def since(self, moment: Millis) -> list[Latency]:
        """Return the delays of the changes that were applied since a moment (ms)."""
        return [latency for at, latency in self.latencies if at >= moment]

    def shown(self, now: Millis) -> list[Latency]:
        """Return the delays of the last hour; of the newest changes, if none was applied in it."""
        return self.since(now - MEASURED_MS) or [latency for _, latency in self.latencies]

    def loaded(self, since: Millis) -> None:
        """Measure only changes made from `since` (ms) on."""
        self.loaded_from = since
