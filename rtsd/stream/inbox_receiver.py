"""The package's events into the inbox: put together, verified, stored with the stream's position."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from rtsd.core.event_parts import PartAssembly
from rtsd.core.instant import Millis
from rtsd.core.position import Position
from rtsd.core.push_event import OpenedPush, opened, part_of
from rtsd.core.seal import SealRule
from rtsd.errors import PushError, RtsError, StoreError
from rtsd.stream.decoding import BusEvent
from rtsd.stream.storing_receiver import BusSigns, StoringReceiver
from rtsd.sync.continuity import Continuity
from rtsd.sync.intake import Intake

_PARTS_MISSING = "an event's other parts never came"


class InboxReceiver(StoringReceiver):
    """Takes the events of `RTS_Push__e` (`rtsd.stream.receiver.Receiver`)."""

    def __init__(
        self,
        intake: Intake,
        topic: str,
        *,
        seal_rule: SealRule,
        signs: BusSigns,
        continuity: Continuity,
        catch_up: Callable[[str], Awaitable[None]],
        report: Callable[[RtsError], Awaitable[None]],
    ) -> None:
        super().__init__(intake, topic, signs=signs, continuity=continuity, catch_up=catch_up, report=report)
        self._seal_rule = seal_rule
        self._parts = PartAssembly()

    async def restore(self) -> None:
        """Restore, too, since when documents are sealed, while seals are demanded.

        A start that does not demand them forgets it: the package may cease to seal, and the next demand loses
        nothing until it seals again.
        """
        await super().restore()
        inbox = self._intake.inbox
        since = await inbox.sealed_since()
        if self._seal_rule.demanded:
            self._seal_rule.since = since
        elif since is not None:
            await inbox.forget_seals()

    async def position(self) -> Position | None:
        """Return where to resume; parts come again from there."""
        self._parts.clear()
        return await super().position()

    async def store(self, events: Sequence[BusEvent], position: Position) -> None:
        """Store the pushes that the events complete, with the position to resume from. Raises StoreError."""
        intake, now = self._intake, self._received(events)
        pushes = [push for event in events if (push := await self._opened(event, now)) is not None]
        given_up = self._parts.expire(now)
        if given_up and not await intake.inbox.knows(given_up):
            await self.catch_up(_PARTS_MISSING)
        for found in pushes:
            await self._continuity.take(found.push, found.signed_at)
        arrivals = [intake.arrival(found.webhook_id, found.push, now) for found in pushes]
        await self._append(arrivals, self._parts.resume_from(position), self._seal_rule.since)
        for found in pushes:
            intake.on_push(found.push, now, found.signed_at)

    async def _opened(self, event: BusEvent, now: Millis) -> OpenedPush | None:
        """Return the push that an event completes; None for a part of one, and for what is refused."""
        try:
            document = self._parts.add(part_of(event.values), event.before, now)
            if document is None:
                return None
            return opened(document, self._intake.secrets(), self._intake.org_id(), self._seal_rule)
        except PushError as error:
            await self._continuity.lost("an event was refused")
            with suppress(StoreError):  # it is refused even if that cannot be reported
                await self._intake.on_rejected(error)
            return None
