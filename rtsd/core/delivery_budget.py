"""The share of an org's event deliveries after which rtsd unsubscribes.

All subscribers of an org share its deliveries: at the end of the allocation Salesforce stops everybody's
subscriptions (Platform Events Developer Guide, Platform Event Allocations). A day's deliveries are those of
a rolling 24 hours, and `/limits` reports them some minutes late, so it is read the more often the sooner the
share could be reached.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import HOUR_MS, MINUTE_MS, Millis

RETURN_SHARE = 0.9
"""rtsd subscribes again below this part of its share; at the share itself it would come and go."""
MOST_OFTEN: Millis = MINUTE_MS
LEAST_OFTEN: Millis = HOUR_MS


@dataclass(frozen=True, slots=True)
class DeliveryUsage:
    """The deliveries of the last 24 hours to all subscribers, and the org's allocation."""

    used: int
    highest: int


@dataclass(frozen=True, slots=True)
class DeliveryBudget:
    """How much of the org's deliveries may be used before rtsd unsubscribes, from 0 to 1."""

    share: float

    def stops_at(self, highest: int) -> int:
        """Return the number of deliveries, of all subscribers, at which rtsd unsubscribes."""
        return int(highest * self.share)

    def may_subscribe(self, usage: DeliveryUsage, *, subscribed: bool) -> bool:
        """Return whether rtsd may go on, or begin again after it has unsubscribed."""
        stop = self.stops_at(usage.highest)
        return usage.used < (stop if subscribed else stop * RETURN_SHARE)

    def read_after(self, usage: DeliveryUsage, before: DeliveryUsage | None, elapsed: Millis) -> Millis:
        """Return the time until the limits are to be read again (ms).

        It is half of the time in which the share is reached at the rate since `before`, `elapsed` ms ago, and
        never more than the part of an hour that is left of the share: another subscriber may begin any time.
        """
        stop = self.stops_at(usage.highest)
        left = stop - usage.used
        if left <= 0:
            return MOST_OFTEN
        pause = LEAST_OFTEN * left // stop
        risen = usage.used - before.used if before else 0
        if risen > 0:
            pause = min(pause, left * elapsed // risen // 2)
        return max(pause, MOST_OFTEN)
