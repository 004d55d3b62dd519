"""Real-time sync: applies the pushes in the inbox, and those released, to the mirror, in order of arrival."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import structlog

from rtsd.core.change import Change
from rtsd.core.instant import Millis, to_iso
from rtsd.core.payload import Changes, Heartbeat, Push, PushedChange, encode_push, observed_at
from rtsd.core.privacy import MaskedPush, MaskedValues, stored_push
from rtsd.core.schema import ObjectSchema
from rtsd.core.server_clock import ServerClock
from rtsd.errors import MalformedPush, SalesforceError
from rtsd.services import Service
from rtsd.store import dead_letters, held
from rtsd.store.database import Database
from rtsd.store.dead_letters import UNKNOWN_FIELD
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Note
from rtsd.store.pushes import Entry
from rtsd.sync.catalog import Catalog
from rtsd.sync.evidence import PushEvidence
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.missed_pushes import PushActivity, store_last_push
from rtsd.sync.mode import ModeMachine
from rtsd.sync.org import OrgIdentity
from rtsd.sync.rows import converted_together, from_pushed
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

MOST_CHANGES = 500
"""Changes after which a transaction ends: whoever waits for the mirror waits for a few hundred."""
FUTURE_MS: Millis = 24 * 3_600_000
"""A stamp further in the future than this is not explained by an inaccurate clock."""
TOGETHER_S = 0.8
"""Seconds between transactions while another program's reader lets the write-ahead log grow: pushes that
share a transaction share most of the pages that it adds."""
MANY = 200
"""Waiting pushes that are worth a transaction of their own."""
BACKSTOP_S = 5.0
"""Maximum seconds between queries of the inbox, in case a wake-up is lost."""

log = structlog.get_logger("rtsd.realtime")

MAX_UNKNOWN = 100
"""Dead letters kept for one object's unknown fields. A field that is hidden from the sync user may be in
every push; once it is visible, its column is filled for every row anyway."""

Describe = Callable[[MirroredObject, Collection[str]], Awaitable[None]]
"""Describes an object again because of unknown fields, at a limited rate."""


class _Times(NamedTuple):
    """Of a push, on Salesforce's clock."""

    read: Millis
    """When the package read the rows."""
    latest: str
    """The last stamp that is not in the future."""


class RealTime(Service):
    """Applies pushes from the inbox."""

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
        push: PushActivity,
        evidence: PushEvidence,
        describe: Describe,
    ) -> None:
        super().__init__(box.arrived)
        self._database = database
        self._catalog = catalog
        self._work = work
        self._server_clock = server_clock
        self._org = org
        self._inbox = box
        self._mode = mode
        self._push = push
        self._evidence = evidence
        self._describe = describe
        self._applied_at = -math.inf
        mode.subscribe(lambda _before, _after: self.wake.set())

    async def step(self) -> float:
        """Apply one batch, unless paused."""
        if self._mode.is_paused:
            return BACKSTOP_S
        if (pause := self._until_shared()) > 0:
            return pause
        if not await self.apply_batch():
            return BACKSTOP_S
        self._applied_at = asyncio.get_running_loop().time()
        return 0.0

    def _until_shared(self) -> float:
        """The seconds to wait for more pushes to share a transaction; 0 while the log does not grow."""
        if not 0 < self._inbox.pending < MANY:
            return 0.0
        pause = self._applied_at + TOGETHER_S - asyncio.get_running_loop().time()
        return pause if pause > 0 and self._database.is_log_held else 0.0

    async def apply_batch(self) -> int:
        """Apply the oldest pushes; return their number."""
        released = await held.released(self._database)
        pushes = self._readable(released or await self._inbox.oldest())
        if not pushes:
            return 0
        await self._describe_unknown(pushes)
        async with self._work.begin() as unit:
            changes: list[Change] = []
            held_again: set[int] = set()
            holding = {mirrored.name for mirrored in self._catalog if mirrored.holds_pushes}
            latest = to_iso(self._server_clock.now() + FUTURE_MS)
            for entry, push in pushes:
                applicable, waiting = self._divide(push, holding)
                changes += await self._changes(unit, entry, applicable, latest)
                if isinstance(push, Changes) and waiting:
                    await self._hold(unit, entry, push, waiting)
                    held_again.add(entry.seq)
            await unit.apply(changes)
            entries = [entry for entry, _ in pushes]
            foreign: list[Entry] = []
            if released:
                await held.settle(unit.tx, entries, held_again)
            else:
                foreign = [entry for entry in entries if self._inbox.is_foreign(entry)]
                await self._inbox.mark_applied(unit.tx, entries)
            await store_last_push(unit.tx, self._push)
        for entry in foreign:
            self._evidence.add_foreign(entry)
        return len(pushes)

    def _readable(self, entries: Sequence[Entry]) -> list[tuple[Entry, Push | MalformedPush]]:
        """Decode pushes, until they have as many changes as one transaction applies."""
        pushes = []
        changes = 0
        for entry in entries:
            push = self._read(entry)
            pushes.append((entry, push))
            changes += len(push.changes) if isinstance(push, Changes) else 1
            if changes >= MOST_CHANGES:
                break
        return pushes

    def _read(self, entry: Entry) -> Push | MalformedPush:
        try:
            return entry.push.read()
        except MalformedPush as error:  # stored by an older version, which accepted it
            return error

    async def _describe_unknown(self, pushes: Sequence[tuple[Entry, Push | MalformedPush]]) -> None:
        """Describe objects whose pushes have unknown fields."""
        found: dict[str, tuple[MirroredObject, set[str]]] = {}
        for _, push in pushes:
            for change in push.changes if isinstance(push, Changes) else ():
                mirrored = self._catalog.find(change.object)
                if mirrored is not None and (unknown := _unknown_fields(mirrored, change)):
                    found.setdefault(mirrored.name, (mirrored, set()))[1].update(unknown)
        for mirrored, names in found.values():
            try:
                await self._describe(mirrored, names)
            except SalesforceError as error:  # apply the known fields of the push nevertheless
                await self._work.report(error, mirrored.name)

    def _divide(
        self, push: Push | MalformedPush, holding: Collection[str]
    ) -> tuple[Push | MalformedPush, Mapping[str, list[PushedChange]]]:
        """Return the part of a push to apply now, and by object the changes that wait: those of `holding`.

        Those of a paused object wait for the resume, and those of a new object for its describe.
        """
        waiting: dict[str, list[PushedChange]] = {}
        if not isinstance(push, Changes) or not holding:
            return push, waiting
        applicable = []
        for change in push.changes:
            mirrored = self._catalog.find(change.object)
            if mirrored is not None and mirrored.name in holding:
                waiting.setdefault(mirrored.name, []).append(change)
            else:
                applicable.append(change)
        return (_part(push, applicable) if waiting else push), waiting

    async def _hold(
        self, unit: UnitOfWork, entry: Entry, push: Changes, waiting: Mapping[str, list[PushedChange]]
    ) -> None:
        """Keep the changes that wait."""
        parts = {name: stored_push(encode_push(_part(push, changes))) for name, changes in waiting.items()}
        await held.hold(unit.tx, entry, parts)
        await unit.notes(
            [
                Note("change", name, change.id, change.op, "push", "deferred")
                for name, changes in waiting.items()
                for change in changes
            ]
        )

    async def _changes(
        self, unit: UnitOfWork, entry: Entry, push: Push | MalformedPush, latest: str
    ) -> list[Change]:
        """Return the applicable changes of one push, none stamped after `latest`.

        The others are kept as dead letters.
        """
        if isinstance(push, MalformedPush):
            await _dead_letter(unit, push.code, push.message, entry.push)
            return []
        if self._org.id is not None and push.org != self._org.id:
            await _dead_letter(unit, "WrongOrg", f"pushed by org {push.org}", entry.push)
            return []
        if not isinstance(push, Changes):
            await unit.note(_sign_of_life(push))
            return []
        at = _Times(observed_at(push, entry.received_at + self._server_clock.offset), latest)
        values = converted_together(push.changes, self._schema)
        changes = []
        for place, pushed in enumerate(push.changes):
            change = await self._change(unit, push, pushed, at, values.get(place))
            if change is not None:
                changes.append(change)
        return changes

    def _schema(self, object_name: str) -> ObjectSchema | None:
        """The fields that are applied as pushed; None if there are none."""
        mirrored = self._catalog.find(object_name)
        if mirrored is None or mirrored.table is None or mirrored.config.where:
            return None
        return mirrored.table.schema

    async def _change(
        self, unit: UnitOfWork, push: Changes, pushed: PushedChange, at: _Times, values: MaskedValues | None
    ) -> Change | None:
        """Return a change to apply; `values` are its fields if they are converted already."""
        mirrored = self._catalog.find(pushed.object)
        if mirrored is None:
            message = f"{pushed.object} is not among the configured [[objects]]"
            await _dead_letter_change(unit, "UnknownObject", message, push, pushed)
            return None
        if mirrored.table is None:  # the initial audit, which has not started yet, will read it
            note = Note("change", pushed.object, pushed.id, pushed.op, "push", "deferred")
            await unit.note(note)
            return None
        if mirrored.config.where:
            pushed = pushed.without_fields()  # only the org can evaluate the filter: it is fetched by id
        try:
            change = from_pushed(mirrored, pushed, at.read, values)
        except (ValueError, TypeError) as error:
            message = f"a value does not fit its field: {error}; the record is fetched by id"
            await _dead_letter_change(unit, "BadValue", message, push, pushed)
            pushed = pushed.without_fields()
            change = from_pushed(mirrored, pushed, at.read)
        if change.version.stamp > at.latest:
            message = f"modstamp {change.version.stamp} is in the future: it would outrank every real change"
            await _dead_letter_change(unit, "BadValue", message, push, pushed)
            return None
        has_fields = values is None and pushed.fields is not None  # else all are known, or it is fetched
        unknown = _unknown_fields(mirrored, pushed) if has_fields else []
        if unknown and await dead_letters.count_for(unit.tx, mirrored.name, UNKNOWN_FIELD) < MAX_UNKNOWN:
            message = f"{mirrored.name} has no field {', '.join(unknown)}; the known fields were applied"
            await _dead_letter_change(unit, UNKNOWN_FIELD, message, push, pushed)
        return change


def _part(push: Changes, changes: list[PushedChange]) -> Changes:
    """Return a push of some of the changes."""
    return Changes(v=1, org=push.org, sent=push.sent, pkg=push.pkg, read_at=push.read_at, changes=changes)


def _unknown_fields(mirrored: MirroredObject, pushed: PushedChange) -> list[str]:
    """Return the fields of the push that are neither in the mirror nor in the last describe.

    A push without fields names those that have changed.
    """
    if mirrored.table is None:
        return []
    schema = mirrored.table.schema
    named = dict.fromkeys(pushed.changed) if pushed.fields is None else pushed.fields
    if named.keys() <= schema.by_name.keys():
        return []
    known = set(schema.by_lower_name) | {name.lower() for name in schema.unmirrored} | {"attributes"}
    return [name for name in named if name.lower() not in known]


def _sign_of_life(push: Push) -> Note:
    if isinstance(push, Heartbeat):
        detail = {"pkg": push.pkg, "settings": push.settings, "triggers": push.triggers}
        return Note(type="package", source="push", message="heartbeat", detail=detail)
    return Note(type="package", source="push", message="test push received: the channel works")


async def _dead_letter_change(
    unit: UnitOfWork, reason: str, message: str, push: Changes, change: PushedChange
) -> None:
    """Add a dead letter of one change, as a push of its own."""
    alone = stored_push(encode_push(_part(push, [change])))
    await _dead_letter(unit, reason, message, alone, object_name=change.object, record=change.id)


async def _dead_letter(
    unit: UnitOfWork,
    reason: str,
    message: str,
    push: MaskedPush,
    *,
    object_name: str | None = None,
    record: str | None = None,
) -> None:
    """Add a dead letter, and journal it."""
    at = to_iso(unit.now())
    await dead_letters.add(unit.tx, at, reason, message, push, object_name=object_name, record=record)
    await unit.note(
        Note(type="dead_letter", object=object_name, id=record, message=message, detail={"error": reason})
    )
