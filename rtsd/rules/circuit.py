"""When a destination is left alone, and when a failed delivery is tried again: pure, with time as a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtsd.core.instant import Millis

OPENS_AFTER = 5
"""So many different deliveries that fail one after another, and no answer between: it is the destination."""
PROBE_FIRST_MS: Millis = 2_000
PROBE_MOST_MS: Millis = 300_000
"""How long an open circuit waits before one delivery is tried: doubling, at most five minutes."""
RETRY_FIRST_MS: Millis = 2_000
RETRY_MOST_MS: Millis = 900_000
"""How long a failed delivery waits: doubling, at most a quarter of an hour."""
GIVEN_UP_AFTER_MS: Millis = 24 * 3_600_000
GIVEN_UP_TRIES = 8
"""A delivery is given up after a day and at least so many tries: a machine that slept is no reason."""
LONGEST_WISH_MS: Millis = 6 * 3_600_000
"""A `Retry-After` beyond this is cut."""


def pause_ms(tries: int, config: Millis | None = None) -> Millis:
    """How long to wait after so many failed tries; what the destination wished goes before."""
    if config is not None:
        return min(max(config, 1_000), LONGEST_WISH_MS)
    return min(RETRY_FIRST_MS << min(max(tries - 1, 0), 16), RETRY_MOST_MS)


def is_given_up(tries: int, first_tried_at: Millis, now: Millis) -> bool:
    """Whether a delivery that has just failed again has been tried long enough."""
    return tries >= GIVEN_UP_TRIES and now - first_tried_at >= GIVEN_UP_AFTER_MS


@dataclass(slots=True)
class Circuit:
    """The breaker of one destination: closed, or open, and then half-open for one delivery at a time."""

    failing: set[int] = field(default_factory=set)
    """Deliveries that failed since the last answer."""
    opened_at: Millis | None = None
    probe_at: Millis = 0
    probes: int = 0
    """How many tries failed while it was open."""

    @property
    def is_open(self) -> bool:
        """Whether only single tries go through."""
        return self.opened_at is not None

    def room(self, under_way: int, most: int, now: Millis) -> int:
        """How many more deliveries may be tried now, while some are `under_way`."""
        if self.opened_at is None:
            return max(most - under_way, 0)
        return int(now >= self.probe_at and under_way == 0)

    def answered(self) -> None:
        """The destination answered, if only to refuse one delivery: it is not down."""
        self.failing.clear()
        self.opened_at, self.probes = None, 0

    def failed(self, delivery: int, now: Millis) -> None:
        """The destination did not take a delivery (by seq), for a reason of its own."""
        self.failing.add(delivery)
        if self.opened_at is None:
            if len(self.failing) < OPENS_AFTER:
                return
            self.opened_at, self.probes = now, 0
        elif now < self.probe_at:
            return  # begun before it opened
        self.probes += 1
        self.probe_at = now + min(PROBE_FIRST_MS << min(self.probes - 1, 16), PROBE_MOST_MS)

    def has_been_open_for(self, now: Millis) -> Millis:
        """For how long nothing has been taken; 0 while closed."""
        return now - self.opened_at if self.opened_at is not None else 0
