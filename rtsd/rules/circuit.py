"""Circuit breakers of destinations and the retry schedule of deliveries: pure, with time as a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtsd.core import backoff
from rtsd.core.instant import DAY_MS, HOUR_MS, Millis

OPENS_AFTER = 5
"""Consecutive failures of different deliveries, without a response in between, that open a circuit."""
PROBE_FIRST_MS: Millis = 2_000
PROBE_MAX_MS: Millis = 300_000
"""The pause before an open circuit probes with one delivery: doubling, at most five minutes."""
RETRY_FIRST_MS: Millis = 2_000
RETRY_MAX_MS: Millis = 900_000
"""The pause before a failed delivery is retried: doubling, at most a quarter of an hour."""
ABANDON_AFTER_MS: Millis = DAY_MS
MIN_ATTEMPTS = 8
"""A delivery is abandoned after a day and at least this many attempts, as the machine may have slept."""
MAX_RETRY_AFTER_MS: Millis = 6 * HOUR_MS
"""The maximum that is honoured of a `Retry-After`."""


def pause_ms(attempts: int, retry_after: Millis | None = None) -> Millis:
    """The pause after `attempts` failed attempts; the receiver's `Retry-After` takes precedence."""
    if retry_after is not None:
        return min(max(retry_after, 1_000), MAX_RETRY_AFTER_MS)
    return backoff.pause_ms(attempts, RETRY_FIRST_MS, RETRY_MAX_MS)


def is_abandoned(attempts: int, first_tried_at: Millis, now: Millis) -> bool:
    """Whether a delivery that failed again is not retried any more."""
    return attempts >= MIN_ATTEMPTS and now - first_tried_at >= ABANDON_AFTER_MS


@dataclass(slots=True)
class Circuit:
    """The circuit breaker of a destination: closed, or open with one probing delivery at a time."""

    failing: set[int] = field(default_factory=set)
    """The deliveries (by seq) that failed since the last response."""
    opened_at: Millis | None = None
    probe_at: Millis = 0
    probes: int = 0
    """Number of failed attempts while open."""

    @property
    def is_open(self) -> bool:
        """Whether only probes are allowed."""
        return self.opened_at is not None

    def room(self, under_way: int, most: int, now: Millis) -> int:
        """The number of deliveries that may start now, while `under_way` are running."""
        if self.opened_at is None:
            return max(most - under_way, 0)
        return int(now >= self.probe_at and under_way == 0)

    def answered(self) -> None:
        """Record a response, even a rejection: the destination is up."""
        self.failing.clear()
        self.opened_at, self.probes = None, 0

    def failed(self, delivery: int, now: Millis) -> None:
        """Record that a delivery (by seq) failed because of the destination."""
        self.failing.add(delivery)
        if self.opened_at is None:
            if len(self.failing) < OPENS_AFTER:
                return
            self.opened_at, self.probes = now, 0
        elif now < self.probe_at:
            return  # started before the circuit opened
        self.probes += 1
        self.probe_at = now + backoff.pause_ms(self.probes, PROBE_FIRST_MS, PROBE_MAX_MS)

    def has_been_open_for(self, now: Millis) -> Millis:
        """The time since the circuit opened; 0 while closed."""
        return now - self.opened_at if self.opened_at is not None else 0
