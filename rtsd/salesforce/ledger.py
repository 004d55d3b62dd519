"""Calls are announced before they are sent; an answer says when Salesforce read what it tells."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from rtsd.core.instant import Millis
from rtsd.errors import QuotaExhausted

Clock = Callable[[], Millis]
"""The local clock; only the composition root asks the operating system."""


class Ledger(Protocol):
    """Where every call is written down before it is sent. `resource` is a key of `/limits`, or `Logins`."""

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Write down what is sent next; retries one by one.

        Raises QuotaExhausted when it may not be sent: then nothing was, and the work is deferred.
        """

    async def record(self, purpose: str, resource: str, count: int) -> None:
        """Write down what was drawn already, such as the megabytes of a result."""

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Take it that Salesforce itself has refused a call on `resources`; say in `error` when to go on."""


class Observed(NamedTuple):
    """Bounds of the moment at which the server read the data, on Salesforce's clock.

    A response's `Date` header is a whole second: the read lies between `Date` minus the time the call
    took and `Date` plus one second. These are `seen` and `until` of a `core.change.Version`.
    """

    seen: Millis
    until: Millis

    def union(self, other: Observed) -> Observed:
        """The bounds of two reads together."""
        return Observed(min(self.seen, other.seen), max(self.until, other.until))


def ignore_usage(_used: int, _maximum: int) -> None:
    """Drop the usage that came with an answer."""


OnServerTime = Callable[[Millis, Millis, Millis], None]
"""Takes an answer's `Date`, and our own clock when it was asked for and when it had come."""


def ignore_server_time(_date: Millis, _sent: Millis, _received: Millis) -> None:
    """Drop what an answer says of Salesforce's clock."""
