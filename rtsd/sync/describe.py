"""Describes: how the org's schema reaches the tables."""

from __future__ import annotations

from collections.abc import Collection

from rtsd.core.instant import Millis
from rtsd.errors import ObjectUnavailable
from rtsd.salesforce import objects
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.engine import Engine, UnitOfWork

UNKNOWN_FIELD_PAUSE_MS = 60_000
"""A push with a field nobody knows asks for a describe, but not more often than this."""
OUT_OF_SIGHT_PAUSE_MS: Millis = 600_000
WHOLE_EVERY = 2
"""Of so many describes of an object one is unconditional; a conditional one costs a call as well."""


class Describer:
    """Describes objects, at most once a period each, whoever asks."""

    def __init__(self, engine: Engine, period_ms: Millis) -> None:
        self._engine = engine
        self._period = period_ms
        self._last: dict[str, Millis] = {}
        self._asked: dict[str, int] = {}
        self._hidden: dict[str, set[str]] = {}

    async def step(self) -> int:
        """Describe what is due; return how many."""
        now = self._engine.now()
        due = [
            mirrored
            for mirrored in self._engine.catalog
            if now - self._last.get(mirrored.name, 0) >= self._pause(mirrored)
        ]
        for mirrored in due:
            await self.describe(mirrored)
        return len(due)

    def _pause(self, mirrored: MirroredObject) -> Millis:
        """How long after a describe the next one is due; an object out of sight is looked for more often."""
        if mirrored.table is None or mirrored.state is ObjectState.ERROR:
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
        if last is None or self._engine.now() - last >= pause:
            await self.describe(mirrored)
            hidden.update(names)

    async def describe(self, mirrored: MirroredObject) -> None:
        """Describe one object; its table follows.

        Raises what the client raises; an object that is gone or hidden is shown as such.
        """
        engine = self._engine
        since = mirrored.described_at or "" if self._may_be_conditional(mirrored) else ""
        self._last[mirrored.name] = engine.now()
        try:
            described = await objects.describe(engine.client, mirrored.name, modified_since=since)
            if described is None:
                return
            existing = [field["name"] for field in described.raw["fields"]]
            before = set(mirrored.table.columns) if mirrored.table else set()
            async with engine.unit_of_work() as unit:
                added = await engine.catalog.set_schema(
                    unit.tx, mirrored, described.schema, existing, described.last_modified
                )
                if added:
                    await self._to_fill(unit, mirrored, added)
                lost = before.difference(mirrored.described.columns)
                if lost:
                    message = (
                        f"no longer visible: {', '.join(sorted(lost))}; what was mirrored of it stays."
                        " If it was not removed, give the sync user field-level access to it again"
                    )
                    await unit.note(Note("schema", mirrored.name, message=message))
                if mirrored.state is ObjectState.ERROR:
                    await engine.catalog.update(unit.tx, mirrored, state=ObjectState.PENDING, error=None)
        except ObjectUnavailable as error:
            why = error.message.rstrip(".")
            await self._unusable(
                mirrored,
                f"{mirrored.name} cannot be described: {why}. If it was not removed, give the sync user"
                f" the object permission Read on {mirrored.name} (permission set RTS_Sync).",
            )
        except ValueError as error:
            await self._unusable(mirrored, str(error))

    def _may_be_conditional(self, mirrored: MirroredObject) -> bool:
        """Whether to ask only for what has changed in the definition.

        Not the first time in a run: the configuration may want other fields than before. Not after the
        object could not be used: that it can be seen again is no change of its definition. And not every
        time: who may see a field is none either.
        """
        asked = self._asked.get(mirrored.name, 0)
        self._asked[mirrored.name] = asked + 1
        return asked % WHOLE_EVERY != 0 and mirrored.state is not ObjectState.ERROR

    async def _to_fill(self, unit: UnitOfWork, mirrored: MirroredObject, added: list[str]) -> None:
        """New columns are empty in old rows: until they are filled, the object is not complete."""
        names = ", ".join(added)
        await unit.note(Note("schema", mirrored.name, message=f"new columns: {names}"))
        if mirrored.loaded or mirrored.loading is not None:
            await self._engine.catalog.update(
                unit.tx,
                mirrored,
                to_fill=tuple(dict.fromkeys((*mirrored.to_fill, *added))),
                state=ObjectState.INCOMPLETE,
                error=f"new columns are being filled: {names}",
            )

    async def _unusable(self, mirrored: MirroredObject, reason: str) -> None:
        if mirrored.state is ObjectState.ERROR and mirrored.error == reason:
            return
        async with self._engine.unit_of_work() as unit:
            await self._engine.catalog.update(unit.tx, mirrored, state=ObjectState.ERROR, error=reason)
            await unit.note(Note("error", mirrored.name, message=reason))
