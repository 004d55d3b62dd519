"""Change events into the inbox, as pushes of changes, stored with the stream's position."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Protocol

from rtsd.core.change_event import ChangeEvent, Header, KindOf, change_event, header_of
from rtsd.core.instant import to_iso
from rtsd.core.payload import Changes
from rtsd.core.position import Position
from rtsd.errors import RtsError
from rtsd.stream.decoding import BusEvent
from rtsd.stream.endings import unreadable
from rtsd.stream.storing_receiver import BusSigns, StoringReceiver
from rtsd.sync.continuity import Continuity
from rtsd.sync.intake import Intake


class MirroredObjects(Protocol):
    """What a receiver asks of the mirrored objects, and tells of them."""

    def kinds_of(self, object_name: str) -> KindOf | None:
        """Return what knows the fields of an object; None for an object that is not mirrored."""

    def heard(self, object_name: str) -> None:
        """Record an event of an object that is mirrored."""

    async def reread(self, object_name: str, reason: str, *, in_full: bool) -> None:
        """Note durably that an object is to be read: from its last cursor, or in full."""


class ChangeReceiver(StoringReceiver):
    """Takes the events of Change Data Capture (`rtsd.stream.receiver.Receiver`)."""

    def __init__(
        self,
        intake: Intake,
        topic: str,
        *,
        objects: MirroredObjects,
        signs: BusSigns,
        continuity: Continuity,
        catch_up: Callable[[str], Awaitable[None]],
        report: Callable[[RtsError], Awaitable[None]],
    ) -> None:
        super().__init__(intake, topic, signs=signs, continuity=continuity, catch_up=catch_up, report=report)
        self._objects = objects

    async def store(self, events: Sequence[BusEvent], position: Position) -> None:
        """Store what the events tell of mirrored objects, with the position.

        Raises StoreError, or StreamEnded for an event that cannot be understood: skipping it loses a change.
        """
        intake, now = self._intake, self._received(events)
        found = [change for event in events if (change := self._read(event)) is not None]
        for name, (reason, in_full) in _rereads(found).items():
            await self._objects.reread(name, reason, in_full=in_full)
        pushes = [(event, self._push(event)) for event in found if event.changes]
        arrivals = [intake.arrival(_id_of(event.header), push, now) for event, push in pushes]
        await self._append(arrivals, position)
        for event in found:
            self._objects.heard(event.header.entity_name)
        if pushes:
            event, push = pushes[-1]
            intake.on_push(push, now, event.observed_at)  # the last sign decides
        self._signs.beat()

    def _read(self, event: BusEvent) -> ChangeEvent | None:
        """Return what an event means; None for an object that is not mirrored. Raises StreamEnded."""
        try:
            header = header_of(event.values)
            kinds = self._objects.kinds_of(header.entity_name)
            return None if kinds is None else change_event(header, event.values, event.layout, kinds)
        except ValueError as error:
            raise unreadable(str(error)) from error

    def _push(self, event: ChangeEvent) -> Changes:
        """Return the changes as a push: read at the time of the commit."""
        read_at = to_iso(event.observed_at)
        return Changes(v=1, org=self._intake.org_id() or "", read_at=read_at, changes=list(event.changes))


def _rereads(found: Sequence[ChangeEvent]) -> dict[str, tuple[str, bool]]:
    """Return the objects to read, with the reason, and whether in full."""
    reread: dict[str, tuple[str, bool]] = {}
    for event in found:
        name = event.header.entity_name
        if event.reread and not (name in reread and reread[name][1]):
            reread[name] = (event.reread, event.rereads_all)
    return reread


def _id_of(header: Header) -> str:
    """Return the id by which a repetition of an event is known, whatever its position on the bus."""
    parts = (header.transaction_key, header.entity_name, header.change_type, header.sequence_number)
    text = "\0".join((*map(str, parts), *header.record_ids))
    return f"cdc_{blake2b(text.encode(), digest_size=16).hexdigest()}"
