"""What a subscription hands over to: the inbox, and the position that is stored with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rtsd.core.position import Position
from rtsd.stream.decoding import BusEvent
from rtsd.stream.endings import Ending


class Receiver(Protocol):
    """Takes what a subscription brings."""

    def has_room(self) -> bool:
        """Whether more events can be taken now."""

    async def position(self) -> Position | None:
        """Return where to resume; None for a stream that never ran."""

    async def store(self, events: Sequence[BusEvent], position: Position) -> None:
        """Store events and the position after them in one transaction. Raises CannotCommit or StoreError.

        Without events it is a keepalive. An event may come twice.
        """

    async def catch_up(self, why: str) -> None:
        """Note durably that what happened before now has to be read from the org, deletions included.

        Called when the new stream is in effect, and before anything of it is stored.
        """

    async def ended(self, ending: Ending) -> None:
        """Record the end of a stream; it is reopened in any case."""
