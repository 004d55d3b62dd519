"""The offset of Salesforce's clock, estimated from the `Date` headers of its responses."""

from __future__ import annotations

from collections.abc import Callable

from rtsd.core.instant import MINUTE_MS, Millis

MAX_CLOCK_SKEW_MS: Millis = MINUTE_MS
"""The greatest difference assumed between the clocks of two Salesforce servers."""
KEPT_MS: Millis = 10 * MINUTE_MS
"""The maximum age of the bounds; older ones are discarded because clocks drift."""


class ServerClock:
    """Narrows the offset down with every response, beyond the one-second resolution of `Date`.

    A response with `Date` D was written while the server's clock was within D..D+1 s and while ours was
    between sending the request and receiving the response. That bounds the offset from both sides.
    """

    def __init__(self, local: Callable[[], Millis]) -> None:
        self._local = local
        self._low: Millis | None = None
        self._high: Millis | None = None
        self._since: Millis = 0

    def now(self) -> Millis:
        """The time on Salesforce's clock in ms, as well as it is known."""
        return self._local() + self.offset

    @property
    def offset(self) -> Millis:
        """The midpoint of the bounds, in ms to add to our clock; 0 before the first response."""
        if self._low is None or self._high is None:
            return 0
        return (self._low + self._high) // 2

    def observe(self, date: Millis, sent: Millis, received: Millis) -> None:
        """Add a response: its `Date`, and our clock at sending the request and receiving the response."""
        low, high = date - received, date + 1_000 - sent
        fresh = self._low is None or self._high is None or received - self._since > KEPT_MS
        if fresh or low > (self._high or 0) or high < (self._low or 0):  # also when a clock was set
            self._low, self._high, self._since = low, high, received
            return
        self._low, self._high = max(low, self._low or low), min(high, self._high or high)
