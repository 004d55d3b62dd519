"""Credit: how many events Salesforce may still send, and when to ask for more.

At most 100 may be outstanding; requests add up. A stream without credit is closed after 60 seconds, and one
with too many requests is ended (Pub/Sub API guide, Subscribe RPC).
"""

from __future__ import annotations

MOST = 100
LOW = 20
"""The low-water mark: more is asked for when no more than this is outstanding, never per event."""


class Credit:
    """The credit of one stream; times in seconds on any steady clock."""

    def __init__(self, now: float, idle_s: float) -> None:
        """After `idle_s` without credit one event is asked for, whatever waits."""
        self._idle_s = idle_s
        self.outstanding = 0
        self._in_flight = 0
        """What was asked for, and no response counts yet."""
        self._reported = 0
        self._since = now
        """When the credit last ran out."""

    def asked(self, count: int) -> None:
        """Record a request."""
        self._in_flight += count
        self.outstanding = min(self.outstanding + count, MOST)

    def received(self, events: int, pending: int, now: float) -> None:
        """Record a response: its events, and how many it says are still outstanding.

        Responses that were sent before a request arrived do not count it. They only count down; otherwise
        each of them would cause another request.
        """
        if pending > self._reported - events:
            self._in_flight = 0
        self._reported = max(pending, 0)
        outstanding = min(self._reported + self._in_flight, MOST)
        if self.outstanding and not outstanding:
            self._since = now
        self.outstanding = outstanding

    def due(self, now: float, *, has_room: bool) -> int:
        """Return how many events to ask for now: up to all, one if there is no room for them, or none."""
        if has_room:
            return MOST - self.outstanding if self.outstanding <= LOW else 0
        return int(not self.outstanding and now - self._since >= self._idle_s)
