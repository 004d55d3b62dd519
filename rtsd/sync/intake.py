"""The way in for pushes, the same for every channel: what verifies, masks and stores them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rtsd.core.instant import Millis
from rtsd.core.payload import Push
from rtsd.core.privacy import MaskedPush
from rtsd.errors import PushError
from rtsd.store.inbox import Arrival, Inbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The values and callbacks that a channel needs to take a push."""

    inbox: Inbox
    secrets: Callable[[], Sequence[bytes]]
    """The secrets accepted now; two during a rotation."""
    now: Callable[[], Millis]
    org_id: Callable[[], str | None]
    """The org whose pushes are accepted; None while it is unknown, in which case the engine checks."""
    protect: Callable[[Push], MaskedPush]
    """Applies the privacy rules before the push reaches the disk."""
    on_push: Callable[[Push, Millis, Millis], None]
    """Takes a push that is stored, with the local time of its arrival and Salesforce's of its signature or
    commit (ms); the sender does not wait for its consequences."""
    on_rejected: Callable[[PushError], Awaitable[None]]

    def arrival(self, webhook_id: str, push: Push, received_at: Millis) -> Arrival:
        """Return a verified push as the inbox stores it, masked."""
        return Arrival(webhook_id, received_at, self.protect(push))
