"""Describes: how the org's schema reaches the tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from rtsd.core.instant import Millis
from rtsd.core.object_state import ObjectState
from rtsd.core.schema import narrow
from rtsd.errors import Conflict, ObjectUnavailable
from rtsd.salesforce import objects
from rtsd.salesforce.client import Client
from rtsd.salesforce.objects import Described
from rtsd.store import schema as tables
from rtsd.store.journal import Note
from rtsd.store.schema import Table
from rtsd.sync import object_states
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

UNKNOWN_FIELD_PAUSE_MS = 60_000
"""A push with a field nobody knows asks for a describe, but not more often than this."""
OUT_OF_SIGHT_PAUSE_MS: Millis = 600_000
WHOLE_EVERY = 2
"""Of so many describes of an object one is unconditional; a conditional one costs a call as well."""


class Describer:
    """Describes objects, at most once a period each, whoever asks."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        work: UnitsOfWork,
        now: Callable[[], Millis],
        period_ms: Millis,
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._work = work
        self._now = now
        self._period = period_ms
        self._last: dict[str, Millis] = {}
        self._asked: dict[str, int] = {}
        self._hidden: dict[str, set[str]] = {}

    async def step(self) -> int:
        """Describe what is due; return how many."""
        now = self._now()
        due = [
            mirrored
            for mirrored in self._catalog
            if now - self._last.get(mirrored.name, 0) >= self._pause(mirrored)
        ]
        for mirrored in due:
            await self.describe(mirrored)
        return len(due)

    def _pause(self, mirrored: MirroredObject) -> Millis:
        """How long after a describe the next one is due; an object out of sight is looked for more often."""
        if _is_unusable(mirrored):
            return min(self._period, OUT_OF_SIGHT_PAUSE_MS)
        return self._period

    async def describe_for_push(self, mirrored: MirroredObject, names: Collection[str] = ()) -> None:
        """Describe because a push held the unknown fields `names`, unless that was done a moment ago.

        The package reads as the system, so fields that are hidden from the sync user come with every push:
        for those that a describe did not show either, the regular one is soon enough.
        """
        last, hidden = self._last.get(mirrored.name), self._hidden.setdefault(mirrored.name, set())
        is_news = not names or not hidden.issuperset(names)
        pause = UNKNOWN_FIELD_PAUSE_MS if is_news else self._period
        if last is None or self._now() - last >= pause:
            await self.describe(mirrored)
            hidden.update(names)

    def soon(self, mirrored: MirroredObject) -> None:
        """Have the next step describe the object: what it was found to be may have changed."""
        self._last.pop(mirrored.name, None)

    async def require(self, mirrored: MirroredObject) -> None:
        """Describe an object that has no usable description. Raises Conflict that says why there is none."""
        if _is_unusable(mirrored):
            await self.describe(mirrored)
        if _is_unusable(mirrored):
            reason = mirrored.stored.error or f"{mirrored.name} has not been described."
            raise Conflict(reason, "Then run it again.")

    async def describe(self, mirrored: MirroredObject) -> None:
        """Describe one object; its table follows.

        Raises what the client raises; an object that is gone or hidden is shown as such.
        """
        since = mirrored.stored.described_at or "" if self._may_be_conditional(mirrored) else ""
        self._last[mirrored.name] = self._now()
        try:
            found = await objects.describe(self._client, mirrored.name, modified_since=since)
            if found is not None:
                await self._take(mirrored, found)
        except ObjectUnavailable as error:
            why = error.message.rstrip(".")
            reason = (
                f"{mirrored.name} cannot be described: {why}. If it was not removed, give the sync user"
                f" the object permission Read on {mirrored.name} (permission set RTS_Sync)."
            )
            await object_states.unusable(self._work, mirrored, reason)
        except ValueError as error:
            await object_states.unusable(self._work, mirrored, str(error))

    async def _take(self, mirrored: MirroredObject, found: Described) -> None:
        """Store a describe: the table is made or widened.

        Raises ValueError when the configuration names a field that the org does not show.
        """
        table = Table(narrow(found.schema, mirrored.config, found.existing))
        async with self._work.begin() as unit:
            before = unit.stored(mirrored)
            added = await _columns_to_fill(unit, before.table, table)
            await unit.store(mirrored, replace(before, table=table, described_at=found.last_modified))
            await object_states.described(unit, mirrored)
            if added:
                await _to_fill(unit, mirrored, added)
            lost = set(before.table.columns if before.table else ()).difference(table.columns)
            if lost:
                message = (
                    f"no longer visible: {', '.join(sorted(lost))}; what was mirrored of it stays."
                    " If it was not removed, give the sync user field-level access to it again"
                )
                await unit.note(Note("schema", mirrored.name, message=message))

    def _may_be_conditional(self, mirrored: MirroredObject) -> bool:
        """Whether to ask only for what has changed in the definition.

        Not the first time in a run: the configuration may want other fields than before. Not after the
        object could not be used: that it can be seen again is no change of its definition. And not every
        time: who may see a field is none either.
        """
        asked = self._asked.get(mirrored.name, 0)
        self._asked[mirrored.name] = asked + 1
        return asked % WHOLE_EVERY != 0 and mirrored.state is not ObjectState.ERROR


def _is_unusable(mirrored: MirroredObject) -> bool:
    return mirrored.table is None or mirrored.state is ObjectState.ERROR


async def _columns_to_fill(unit: UnitOfWork, before: Table | None, table: Table) -> list[str]:
    """Make or widen the table; return the columns that came to an old one.

    A field that was out of sight for a while is among them: its column is there, but out of date.
    """
    added = await tables.ensure(unit.tx, table)
    known = {*(before.columns if before else table.columns), *added}
    return [*added, *(name for name in table.columns if name not in known)]


async def _to_fill(unit: UnitOfWork, mirrored: MirroredObject, added: Sequence[str]) -> None:
    """New columns are empty in old rows: until they are filled, the object is not complete."""
    await unit.note(Note("schema", mirrored.name, message=f"new columns: {', '.join(added)}"))
    if mirrored.loaded or mirrored.loading is not None:
        stored = unit.stored(mirrored)
        to_fill = tuple(dict.fromkeys((*stored.to_fill, *added)))
        await unit.store(mirrored, replace(stored, to_fill=to_fill))
        await object_states.columns_added(unit, mirrored, added)
