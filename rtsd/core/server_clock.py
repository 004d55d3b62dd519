"""How far Salesforce's clock is ahead of ours, from the `Date` of its answers."""

from __future__ import annotations

from rtsd.core.instant import Millis

SECOND: Millis = 1_000
KEPT: Millis = 10 * 60_000
"""Bounds older than this are given up: clocks drift."""


class ServerClock:
    """Narrows the offset down: `Date` has whole seconds, but every answer bounds it from both sides.

    An answer whose `Date` says D was written while the server's clock stood in D..D+1 s, and between the
    moments at which we had sent the request and had the answer.
    """

    def __init__(self) -> None:
        self._low: Millis | None = None
        self._high: Millis | None = None
        self._since: Millis = 0

    @property
    def offset(self) -> Millis:
        """The middle of what is possible, in ms; 0 before the first answer."""
        if self._low is None or self._high is None:
            return 0
        return (self._low + self._high) // 2

    def observe(self, date: Millis, sent: Millis, received: Millis) -> None:
        """Take one answer: its `Date`, and our clock when it was asked for and when it came."""
        low, high = date - received, date + SECOND - sent
        fresh = self._low is None or self._high is None or received - self._since > KEPT
        if fresh or low > (self._high or 0) or high < (self._low or 0):  # also when a clock was set
            self._low, self._high, self._since = low, high, received
            return
        self._low, self._high = max(low, self._low or low), min(high, self._high or high)
