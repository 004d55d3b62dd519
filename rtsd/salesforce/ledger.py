"""The interface to the ledger of calls, and the bounds of the time at which Salesforce read data."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from rtsd.core.instant import Millis
from rtsd.errors import QuotaExhausted

Clock = Callable[[], Millis]
"""The local clock in ms; only the composition root reads the system's."""


class Ledger(Protocol):
    """Records every call before it is sent. `resource` is a limit name of `core.quota`."""

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Record a call about to be sent, once per attempt.

        Raises QuotaExhausted if it must not be sent; the caller defers its work.
        """

    async def record(self, purpose: str, resource: str, count: int) -> None:
        """Record usage that has already occurred, such as a result's megabytes."""

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Record that Salesforce refused a call on `resources`, and set the times to retry in `error`."""


class NullLedger:
    """A ledger that records nothing, for calls before there is a mirror."""

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Allow every call."""

    async def record(self, purpose: str, resource: str, count: int) -> None:
        """Record nothing."""

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Leave the error as Salesforce worded it."""


class Observed(NamedTuple):
    """Bounds (ms, Salesforce's clock) of the time at which the server read the data.

    The `Date` header has whole seconds, so the read lies between `Date` minus the call's duration and `Date`
    plus one second. They become `seen` and `until` of a `core.change.Version`.
    """

    seen: Millis
    until: Millis

    def union(self, other: Observed) -> Observed:
        """The bounds that cover both reads."""
        return Observed(min(self.seen, other.seen), max(self.until, other.until))


def ignore_usage(_used: int, _maximum: int) -> None:
    """Ignore the usage in a response's headers."""


OnServerTime = Callable[[Millis, Millis, Millis], None]
"""Takes a response's `Date`, and the local times of the request and the response, all in ms."""


def ignore_server_time(_date: Millis, _sent: Millis, _received: Millis) -> None:
    """Ignore a response's `Date`."""
