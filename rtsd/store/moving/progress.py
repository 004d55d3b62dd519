"""What an interrupted move has copied: rows in the order of their keys, so the last one tells the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtsd.core.plural import plural
from rtsd.store.moving.content import OWN, RESTARTED
from rtsd.store.moving.sides import Source


@dataclass(frozen=True, slots=True)
class Copied:
    """The rows of a table that are there."""

    rows: int = 0
    last: tuple[Any, ...] = ()
    """The key of the last one; empty if there is none."""
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """What is there: rtsd's own tables, and those of objects."""

    own: dict[str, Copied]
    objects: dict[str, Copied]

    def __str__(self) -> str:
        journal = plural(self.own["_rts_journal"].rows, "journal entry")
        shown = [f"{name} {copied.rows:,}" for name, copied in self.objects.items() if copied.exists]
        rows = f"rows of {', '.join(shown)}" if shown else "no rows of objects"
        return f"it has {journal}, and {rows}, of {plural(len(self.objects), 'object')}"


async def progress(target: Source) -> Progress:
    """Look at what is there."""
    own = {
        table: await _copied(target, target.parts(table, keys)[0].place, keys)
        for table, keys in OWN.items()
        if table not in RESTARTED
    }
    objects = {}
    for (name,) in await target.fetch("SELECT name FROM _rts_object ORDER BY name"):
        place, identity = target.dialect.table(str(name)), target.dialect.column("Id")
        there = bool(await target.fetch(*target.dialect.columns_of(str(name))))
        objects[str(name)] = await _copied(target, place, (identity,)) if there else Copied(exists=False)
    return Progress(own, objects)


async def _copied(target: Source, place: str, keys: Sequence[str]) -> Copied:
    ((rows,),) = await target.fetch(f"SELECT COUNT(*) FROM {place}")
    backwards = ", ".join(f"{key} DESC" for key in keys)
    last = await target.fetch(f"SELECT {', '.join(keys)} FROM {place} ORDER BY {backwards} LIMIT 1")
    return Copied(int(rows), tuple(last[0]) if last else ())
