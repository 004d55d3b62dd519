"""The package's events into the inbox: put together, verified, stored with the stream's position."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from rtsd.core.daily_count import DailyCount
from rtsd.core.event_parts import PartAssembly
from rtsd.core.instant import Millis
from rtsd.core.push_event import OpenedPush, opened, part_of
from rtsd.errors import PushError, RtsError, StoreError, StreamRefused
from rtsd.stream.decoding import BusEvent
from rtsd.stream.endings import Ending
from rtsd.sync.intake import Intake

_PARTS_MISSING = "an event's other parts never came"


class InboxReceiver:
    """Takes the events of `RTS_Push__e` (`rtsd.stream.receiver.Receiver`)."""

    def __init__(
        self,
        intake: Intake,
        topic: str,
        *,
        catch_up: Callable[[str], Awaitable[None]],
        report: Callable[[RtsError], Awaitable[None]],
    ) -> None:
        """`catch_up` reads from the org what the stream cannot bring any more, deletions included."""
        self._intake = intake
        self._topic = topic
        self._catch_up = catch_up
        self._report = report
        self._parts = PartAssembly()
        self._reported = ""
        """The code of the ending that was reported last, until something is stored."""
        self.delivered = DailyCount()
        """Events received, which Salesforce counts against the org's deliveries."""

    def has_room(self) -> bool:
        """Whether the inbox takes more now."""
        return self._intake.inbox.has_room

    async def position(self) -> bytes | None:
        """Return the replay id to resume after; parts come again from there."""
        self._parts.clear()
        return await self._intake.inbox.position(self._topic)

    async def store(self, events: Sequence[BusEvent], position: bytes) -> None:
        """Store the pushes that the events complete, with the position to resume from. Raises StoreError."""
        intake, now = self._intake, self._intake.now()
        self.delivered.add(now, len(events))
        pushes = [push for event in events if (push := await self._opened(event, now)) is not None]
        given_up = self._parts.expire(now)
        if given_up and not await intake.inbox.knows(given_up):
            await self._catch_up(_PARTS_MISSING)
        arrivals = [intake.arrival(found.webhook_id, found.push, now) for found in pushes]
        await intake.inbox.append_from_stream(arrivals, self._topic, self._parts.resume_from(position))
        self._reported = ""
        for found in pushes:
            intake.on_push(found.push, now)

    async def _opened(self, event: BusEvent, now: Millis) -> OpenedPush | None:
        """Return the push that an event completes; None for a part of one, and for what is refused."""
        try:
            document = self._parts.add(part_of(event.values), event.before, now)
            if document is None:
                return None
            return opened(document, self._intake.secrets(), self._intake.org_id())
        except PushError as error:
            with suppress(StoreError):  # it is refused even if that cannot be reported
                await self._intake.on_rejected(error)
            return None

    async def catch_up(self, why: str) -> None:
        """Have what happened before now read from the org."""
        await self._catch_up(why)

    async def ended(self, ending: Ending) -> None:
        """Report an end that a person has to know of, once until something is stored again."""
        if ending.alarming and ending.code != self._reported:
            self._reported = ending.code
            await self._report(StreamRefused(ending.message, ending.do, reason=ending.code))
