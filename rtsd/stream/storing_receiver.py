"""What every receiver does: the inbox stores pushes with the stream's position, and an end is reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rtsd.core.instant import Millis
from rtsd.core.position import Position
from rtsd.errors import RtsError, StreamRefused
from rtsd.store.inbox import Arrival
from rtsd.stream.decoding import BusEvent
from rtsd.stream.endings import Ending
from rtsd.sync.continuity import Continuity
from rtsd.sync.intake import Intake


@dataclass(frozen=True, slots=True)
class BusSigns:
    """What is called for the signs of the bus."""

    received: Callable[[int], None]
    """So many events, each of which is a delivery."""
    beat: Callable[[], None]
    """A response of Change Data Capture, even without an event: the stream works."""
    lost: Callable[[str], None]
    """An end that lasts, and why."""


class StoringReceiver:
    """The part of a `rtsd.stream.receiver.Receiver` that does not depend on the events' meaning."""

    def __init__(
        self,
        intake: Intake,
        topic: str,
        *,
        signs: BusSigns,
        continuity: Continuity,
        catch_up: Callable[[str], Awaitable[None]],
        report: Callable[[RtsError], Awaitable[None]],
    ) -> None:
        """`catch_up` reads from the org what the stream cannot bring any more, deletions included."""
        self._intake = intake
        self._topic = topic
        self._signs = signs
        self._continuity = continuity
        self._catch_up = catch_up
        self._report = report
        self._reported = ""
        """The code of the ending that was reported last, until something is stored."""
        self.position_at: Millis | None = None
        """The local time (ms) of the stored position; None if it is not known."""

    def has_room(self) -> bool:
        """Whether the inbox takes more now."""
        return self._intake.inbox.has_room

    async def restore(self) -> None:
        """Restore what the last run stored with the position. Raises StoreError."""
        stored = await self.position()
        self.position_at = None if stored is None else stored.at

    async def position(self) -> Position | None:
        """Return where to resume."""
        return await self._intake.inbox.position(self._topic)

    async def catch_up(self, why: str) -> None:
        """Have what happened before now read from the org."""
        await self._catch_up(why)

    async def ended(self, ending: Ending) -> None:
        """Report an end that a person has to know of, once until something is stored again."""
        if ending.alarming:
            self._signs.lost(ending.message)
            await self._continuity.lost(ending.message)
        if ending.alarming and ending.code != self._reported:
            self._reported = ending.code
            await self._report(StreamRefused(ending.message, ending.do, reason=ending.code))

    def _received(self, events: Sequence[BusEvent]) -> Millis:
        """Count events; return the local time (ms)."""
        self._signs.received(len(events))
        return self._intake.now()

    async def _append(
        self, arrivals: Sequence[Arrival], position: Position, sealed_since: int | None = None
    ) -> None:
        """Store pushes with the position to resume from. Raises StoreError."""
        inbox, continuity = self._intake.inbox, self._continuity
        await continuity.resume_from(self.position_at)
        await inbox.append_from_stream(
            arrivals, self._topic, position, unbroken=continuity.record, sealed_since=sealed_since
        )
        self.position_at = position.at
        continuity.reached(position.at)
        self._reported = ""
