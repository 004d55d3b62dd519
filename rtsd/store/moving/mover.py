"""The move of a mirror: copied in batches, proven, and only then a mirror."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtsd.errors import Conflict, StoreError
from rtsd.store import meta, objects
from rtsd.store.dialect import quoted
from rtsd.store.moving import checksums
from rtsd.store.moving.columns import FORMER, Layout, former_pairs, layout
from rtsd.store.moving.content import OWN, RESTARTED, own_columns, own_rows
from rtsd.store.moving.progress import Copied, Progress, progress
from rtsd.store.moving.proof import Proof
from rtsd.store.moving.sides import ENGINES_OWN, STATE, Source, Target, UnfitRow

_UNFINISHED_PRIVACY = "privacy change"
"""The key of a change of privacy that was interrupted: it resumes at a key of the engine that it began on."""

Tell = Callable[[str, str, int, int | None], None]
"""Is called with a verb, what it concerns, the rows so far, and how many there are, if that is known."""


@dataclass(slots=True)
class Moved:
    """What was moved, and proven equal."""

    rows: dict[str, int] = field(default_factory=dict)
    """The rows of each object."""
    own: dict[str, int] = field(default_factory=dict)
    """Those of rtsd's own tables."""

    @property
    def total(self) -> int:
        """The rows of all tables."""
        return sum(self.rows.values()) + sum(self.own.values())


class Mover:
    """Moves a source into a target."""

    def __init__(self, source: Source, target: Target, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._tell = tell
        self._copied: dict[str, int] = {}
        """The rows that were copied, by table."""

    async def run(self) -> Moved:
        """Copy everything, prove it, and make the target a mirror.

        Raises StoreError; the source is as it was then, and the target no mirror.
        """
        pairs = await self._pairs(self._source)
        if _UNFINISHED_PRIVACY in pairs:
            raise Conflict(
                f"a change of privacy is not finished in {self._source.name}",
                "let rtsd start there once, stop it, then move again",
            )
        there = await self._there()
        counts: dict[str, int] = dict(await self._source.fetch("SELECT name, rows FROM _rts_object"))
        layouts = await self._layouts()
        await self._target.put_meta({**pairs, **former_pairs(layouts), STATE: await self._state()})
        for table in OWN:
            await self._copy_own(table, there.own.get(table, Copied()))
        for found in layouts:
            name = found.table.name
            await self._copy_object(found, counts.get(name), there.objects.get(name, Copied(exists=False)))
        await self._target.set_numbers(await self._source.numbers())
        moved = await self._prove(layouts, pairs)
        await self._source.require_untouched()
        await self._target.finish()
        return moved

    async def _there(self) -> Progress:
        """Return what an interrupted move has copied. Raises Conflict if the source is another since."""
        async with self._target.read_again() as reader:
            state = await meta.get(reader, STATE)
            if state not in (None, await self._state()):
                raise Conflict(
                    f"rtsd ran on {self._source.name} since the unfinished move began",
                    "what was copied is of no use; begin again with rtsd move --replace",
                )
            return await progress(reader)

    async def _state(self) -> str:
        """Return what changes with every run of rtsd on the source."""
        newest = await self._source.fetch("SELECT MAX(seq) FROM _rts_journal")
        calls = await self._source.fetch("SELECT MAX(seq), COUNT(*) FROM _rts_ledger")
        return msgspec.json.encode([sorted((await self._source.numbers()).items()), newest, calls]).decode()

    async def _pairs(self, side: Source) -> dict[str, str]:
        """Return the key-value pairs that both engines understand."""
        found: dict[str, str] = {}
        for part in side.parts("_rts_meta", ("key",)):
            found |= dict(await side.fetch(f"SELECT key, value FROM {part.place}"))
        return {
            key: value
            for key, value in found.items()
            if key not in ENGINES_OWN and not key.startswith((FORMER, objects.EXTENT))
        }

    async def _layouts(self) -> list[Layout]:
        stored = await objects.load(self._source)
        found = [await layout(self._source, stored[name], self._target.dialect) for name in sorted(stored)]
        return [each for each in found if each is not None]

    async def _copy_own(self, table: str, there: Copied) -> None:
        columns = await own_columns(self._source, table)
        names = [quoted(name) for name in columns]
        number = there.rows
        if table in RESTARTED:
            await self._target.clear(table)
        async for rows in own_rows(self._source, table, columns, there.last):
            await self._put(table, table, names, rows)
            number += len(rows)
            self._tell("copying", table, number, None)
        self._copied[table] = number

    async def _copy_object(self, found: Layout, total: int | None, there: Copied) -> None:
        name, number = found.table.name, there.rows
        if not there.exists:
            await self._target.execute(found.create)
        names = [column.put for column in found.columns]
        async for rows in found.rows(self._source, there.last):
            await self._put(name, found.table.sql_name, names, rows)
            number += len(rows)
            self._tell("copying", name, number, total)
        self._copied[name] = number
        following = self._target.dialect.views.continued(found.table.sql_name)
        if found.is_numbered and following is not None:
            await self._target.execute(following)
        await self._target.build_indexes(found.table)
        text = name.replace("'", "''")
        await self._target.execute(f"DELETE FROM _rts_row_checksum WHERE object = '{text}'")
        async with self._target.read_again() as reader:
            await checksums.copy(self._source, self._target, reader, found)

    async def _put(self, name: str, table: str, columns: list[str], rows: list[Any]) -> None:
        stored = [self._target.stored(row) for row in rows]
        try:
            await self._target.put(table, columns, stored)
        except UnfitRow as unfit:
            key = rows[unfit.place][0]
            raise StoreError(
                f"{name} {key}: the value of {unfit.column} does not fit its column in {self._target.name}",
                "correct it in the org, or exclude the field, and let rtsd run until the object is live;"
                " then remove the target, and move again",
            ) from unfit

    async def _prove(self, layouts: list[Layout], pairs: Mapping[str, str]) -> Moved:
        moved = Moved()
        async with self._target.read_again() as reader:
            proof = Proof(
                self._source,
                reader,
                self._target.stored,
                lambda what, rows: self._tell("comparing", what, rows, self._copied.get(what)),
            )
            stored = {key: self._target.stored((value,))[0] for key, value in pairs.items()}
            proof.pairs(stored, await self._pairs(reader))
            for table in OWN:
                moved.own[table] = await proof.own(table)
            for found in layouts:
                moved.rows[found.table.name] = await proof.mirrored(found)
            proof.numbers(await self._source.numbers(), await reader.numbers())
        return moved
