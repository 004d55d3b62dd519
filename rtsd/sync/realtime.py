"""From the inbox into the mirror: what was pushed, in the order it came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from rtsd.core.change import Change
from rtsd.core.instant import Millis, to_iso
from rtsd.core.payload import Changes, Heartbeat, Push, PushedChange, encode_push, observed_at, read_push
from rtsd.core.privacy import MaskedPush, stored_push
from rtsd.core.server_clock import ServerClock
from rtsd.errors import MalformedPush, SalesforceError
from rtsd.services import Service
from rtsd.store import dead_letters, inbox
from rtsd.store.database import Database
from rtsd.store.dead_letters import UNKNOWN_FIELD
from rtsd.store.inbox import Entry, Inbox
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.rows import from_pushed
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

BATCH = 256
"""Pushes applied in one transaction."""
FUTURE_MS: Millis = 24 * 3_600_000
"""A stamp further ahead than this is no clock's error."""
BACKSTOP_S = 5.0
"""The longest pause without a query of the inbox, should a wake-up get lost."""

log = structlog.get_logger("rtsd.realtime")

MOST_UNKNOWN = 100
"""Dead letters kept of one object's unknown fields: a field that is hidden from the sync user may come with
every push, and where it is shown one day, its column is filled for every row."""

Describe = Callable[[MirroredObject, Collection[str]], Awaitable[None]]
"""Describes an object again for some unknown fields, if that was not done a moment ago."""


class RealTime(Service):
    """Takes pushes out of the inbox and applies them."""

    name = "realtime"

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        server_clock: ServerClock,
        org: OrgIdentity,
        box: Inbox,
        mode: ModeMachine,
        describe: Describe,
    ) -> None:
        super().__init__(box.arrived)
        self._database = database
        self._catalog = catalog
        self._work = work
        self._server_clock = server_clock
        self._org = org
        self._mode = mode
        self._describe = describe
        mode.subscribe(lambda _before, _after: self.wake.set())

    async def step(self) -> float:
        """Apply one batch, unless paused."""
        if not self._mode.is_paused and await self.apply_batch():
            return 0.0
        return BACKSTOP_S

    async def apply_batch(self) -> int:
        """Apply the oldest pushes; return how many that were."""
        entries = await inbox.pending(self._database, BATCH)
        if not entries:
            return 0
        pushes = [(entry, self._read(entry)) for entry in entries]
        await self._learn_fields(pushes)
        async with self._work.begin() as unit:
            changes: list[Change] = []
            for entry, push in pushes:
                changes += await self._changes(unit, entry, push)
            await unit.apply(changes)
            await inbox.settle(unit.tx, entries)
        return len(entries)

    def _read(self, entry: Entry) -> Push | MalformedPush:
        try:
            return read_push(entry.body)
        except MalformedPush as error:  # it was well-formed when it was taken: an older rtsd's document
            return error

    async def _learn_fields(self, pushes: Sequence[tuple[Entry, Push | MalformedPush]]) -> None:
        """Describe objects that were pushed with a field we have never heard of."""
        strange: dict[str, tuple[MirroredObject, set[str]]] = {}
        for _, push in pushes:
            for change in push.changes if isinstance(push, Changes) else ():
                mirrored = self._catalog.find(change.object)
                if mirrored is not None and (unknown := _unknown_fields(mirrored, change)):
                    strange.setdefault(mirrored.name, (mirrored, set()))[1].update(unknown)
        for mirrored, names in strange.values():
            try:
                await self._describe(mirrored, names)
            except SalesforceError as error:  # not the push's fault: it is applied as far as it is understood
                await self._work.report(error, mirrored.name)

    async def _changes(self, unit: UnitOfWork, entry: Entry, push: Push | MalformedPush) -> list[Change]:
        """The changes of one push that can be applied; the rest is kept as dead letters."""
        if isinstance(push, MalformedPush):
            await _bury(unit, push.code, push.message, entry.body)
            return []
        if self._org.id is not None and push.org != self._org.id:
            await _bury(unit, "WrongOrg", f"pushed by org {push.org}", entry.body)
            return []
        if not isinstance(push, Changes):
            await unit.note(_sign_of_life(push))
            return []
        read_at = observed_at(push, entry.received_at + self._server_clock.offset)
        found = [await self._change(unit, push, change, read_at) for change in push.changes]
        return [change for change in found if change is not None]

    async def _change(
        self, unit: UnitOfWork, push: Changes, pushed: PushedChange, read_at: Millis
    ) -> Change | None:
        mirrored = self._catalog.find(pushed.object)
        if mirrored is None:
            message = f"{pushed.object} is not among the configured [[objects]]"
            await _bury_change(unit, "UnknownObject", message, push, pushed)
            return None
        if mirrored.table is None or mirrored.paused:
            # Read later: by the initial audit, which has not begun, or by the window after the pause.
            note = Note("change", pushed.object, pushed.id, pushed.op, "push", "deferred")
            await unit.note(note)
            return None
        if mirrored.config.where:
            pushed.fields = None  # only the org can evaluate the filter: the record is fetched by id
        try:
            change = from_pushed(mirrored, pushed, read_at)
        except (ValueError, TypeError) as error:
            message = f"a value does not fit its field: {error}; the record is asked for by id"
            await _bury_change(unit, "BadValue", message, push, pushed)
            pushed.fields = None
            change = from_pushed(mirrored, pushed, read_at)
        if change.version.stamp > to_iso(self._server_clock.now() + FUTURE_MS):
            message = (
                f"modstamp {change.version.stamp} lies in the future: it would outrank every real change"
            )
            await _bury_change(unit, "BadValue", message, push, pushed)
            return None
        unknown = _unknown_fields(mirrored, pushed)
        if unknown and await dead_letters.count_for(unit.tx, mirrored.name, UNKNOWN_FIELD) < MOST_UNKNOWN:
            message = f"{mirrored.name} has no field {', '.join(unknown)}; the known fields were applied"
            await _bury_change(unit, UNKNOWN_FIELD, message, push, pushed)
        return change


def _unknown_fields(mirrored: MirroredObject, pushed: PushedChange) -> list[str]:
    """Fields of the push that neither the mirror nor the last describe knows."""
    if mirrored.table is None or not pushed.fields:
        return []
    schema = mirrored.table.schema
    names = schema.by_name
    strange = [name for name in pushed.fields if name not in names]
    if not strange:
        return []
    known = set(schema.by_lower_name) | {name.lower() for name in schema.unmirrored} | {"attributes"}
    return [name for name in strange if name.lower() not in known]


def _sign_of_life(push: Push) -> Note:
    if isinstance(push, Heartbeat):
        detail = {"pkg": push.pkg, "settings": push.settings, "triggers": push.triggers}
        return Note(type="package", source="push", message="heartbeat", detail=detail)
    return Note(type="package", source="push", message="test push received: the channel works")


async def _bury_change(
    unit: UnitOfWork, reason: str, message: str, push: Changes, change: PushedChange
) -> None:
    """Keep one change of a push, as a push of its own."""
    alone = Changes(v=1, org=push.org, sent=push.sent, pkg=push.pkg, read_at=push.read_at, changes=[change])
    body = stored_push(encode_push(alone))
    await _bury(unit, reason, message, body, object_name=change.object, record=change.id)


async def _bury(
    unit: UnitOfWork,
    reason: str,
    message: str,
    body: MaskedPush,
    *,
    object_name: str | None = None,
    record: str | None = None,
) -> None:
    at = to_iso(unit.now())
    await dead_letters.add(unit.tx, at, reason, message, body, object_name=object_name, record=record)
    await unit.note(
        Note(type="dead_letter", object=object_name, id=record, message=message, detail={"error": reason})
    )
