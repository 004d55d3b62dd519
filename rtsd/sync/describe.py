"""Describes: how the org's schema reaches the tables."""

from __future__ import annotations

from rtsd.core.instant import Millis
from rtsd.errors import ObjectUnavailable
from rtsd.salesforce import objects
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import Mirrored
from rtsd.sync.engine import Engine, Writing

UNKNOWN_FIELD_PAUSE_MS = 60_000
"""A push with a field nobody knows asks for a describe, but not more often than this."""


class Describer:
    """Describes objects, at most once a period each, whoever asks."""

    def __init__(self, engine: Engine, period_ms: Millis) -> None:
        self._engine = engine
        self._period = period_ms
        self._last: dict[str, Millis] = {}

    async def step(self) -> int:
        """Describe what is due; return how many."""
        now = self._engine.now()
        due = [
            mirrored
            for mirrored in self._engine.catalog
            if mirrored.table is None or now - self._last.get(mirrored.name, 0) >= self._period
        ]
        for mirrored in due:
            await self.describe(mirrored)
        return len(due)

    async def describe_for_push(self, mirrored: Mirrored) -> None:
        """Describe because a push held an unknown field, unless that was done a moment ago."""
        last = self._last.get(mirrored.name)
        if last is None or self._engine.now() - last >= UNKNOWN_FIELD_PAUSE_MS:
            await self.describe(mirrored)

    async def describe(self, mirrored: Mirrored) -> None:
        """Describe one object; its table follows.

        Raises what the client raises; an object that is gone or hidden is shown as such.
        """
        engine = self._engine
        # The first one of a run is unconditional: the configuration may want other fields than before.
        since = mirrored.described_at or "" if mirrored.name in self._last else ""
        self._last[mirrored.name] = engine.now()
        try:
            described = await objects.describe(engine.client, mirrored.name, modified_since=since)
            if described is None:
                return
            existing = [field["name"] for field in described.raw["fields"]]
            async with engine.writing() as writing:
                added = await engine.catalog.set_schema(
                    writing.tx, mirrored, described.schema, existing, described.last_modified
                )
                if added:
                    await self._to_fill(writing, mirrored, added)
                if mirrored.state is ObjectState.ERROR:
                    await engine.catalog.update(writing.tx, mirrored, state=ObjectState.PENDING, error=None)
        except (ObjectUnavailable, ValueError) as error:
            await self._unusable(mirrored, str(error))

    async def _to_fill(self, writing: Writing, mirrored: Mirrored, added: list[str]) -> None:
        """New columns are empty in old rows: until they are filled, the object is not complete."""
        names = ", ".join(added)
        await writing.note(Note("schema", mirrored.name, message=f"new columns: {names}"))
        if mirrored.loaded:
            await self._engine.catalog.update(
                writing.tx,
                mirrored,
                to_fill=tuple(dict.fromkeys((*mirrored.to_fill, *added))),
                state=ObjectState.INCOMPLETE,
                error=f"new columns are being filled: {names}",
            )

    async def _unusable(self, mirrored: Mirrored, reason: str) -> None:
        if mirrored.state is ObjectState.ERROR and mirrored.error == reason:
            return
        async with self._engine.writing() as writing:
            await self._engine.catalog.update(writing.tx, mirrored, state=ObjectState.ERROR, error=reason)
            await writing.note(Note("error", mirrored.name, message=reason))
