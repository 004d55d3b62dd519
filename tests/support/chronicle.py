"""All versions of an object's records, written down as they come: what the journal is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rtsd.core.instant import to_iso
from tests.support.life import FIELDS, LATER, START, Life, Step

NAMES = ("Id", *FIELDS, "SystemModstamp", LATER)


class Known(NamedTuple):
    """A version; `values` without what is not known."""

    values: Mapping[str, Any]
    begin: str
    end: str | None
    source: str | None
    op: str | None = None
    ended_by: str | None = None


@dataclass
class Chronicle:
    """A life, and what its records were after each step."""

    life: Life
    versions: dict[str, list[Known]] = field(default_factory=dict)
    moments: dict[str, str] = field(default_factory=dict)
    """When each record was changed last; the clock of a life is set back at times."""
    filled: str = ""
    """When the field that came later was filled."""

    async def play(self, steps: list[Step]) -> None:
        """Live, and write down what came of each step."""
        for step in steps:
            before = len(await self.life.journal())
            if step.kind == "fill":
                await self._fill(step)
            elif step.kind == "clock":
                self.life.behind = step.at
            else:
                await self.life.play([step])
            entries = [row for row in (await self.life.journal())[before:] if row[6] == "applied"]
            for entry_at, _, _, name, op, source, *_ in entries:
                at = self.moments[name] = max(entry_at, self.moments.get(name, entry_at))
                self._ended(name, op, at)
                if op != "delete":
                    self.versions[name].append(Known({}, at, None, source, op))
            await self._look()

    def _ended(self, name: str, op: str, at: str) -> None:
        known = self.versions.setdefault(name, [])
        if known and known[-1].end is None:
            begin = min(known[-1].begin, at)
            known[-1] = known[-1]._replace(end=at, ended_by=op, begin=begin)

    async def _look(self) -> None:
        """Take the values of the present versions; a row that no entry tells of was loaded."""
        for name, row in (await self.life.present()).items():
            known = self.versions.setdefault(name, [])
            if not known or known[-1].end is not None:
                known.append(Known({}, row["SystemModstamp"], None, row["_rts_source"]))
            values = {field: row.get(field) for field in NAMES}
            known[-1] = known[-1]._replace(values=values)

    async def _fill(self, step: Step) -> None:
        self.filled = max(to_iso(START + step.at), *self.moments.values(), "")
        await self.life.fill(self.filled)

    def all(self) -> list[tuple[str, Known]]:
        """Return every version, without what was not known while it lasted."""
        return [
            (name, self._without_unknown(version))
            for name, known in self.versions.items()
            for version in known
        ]

    def _without_unknown(self, version: Known) -> Known:
        if version.end is None or not self.filled or version.end > self.filled:
            return version
        return version._replace(values={**version.values, LATER: None})

    def at(self, moment: str) -> dict[str, Mapping[str, Any]]:
        """Return the records as they were, by id."""
        return {
            name: version.values
            for name, version in self.all()
            if version.begin <= moment and (version.end is None or moment < version.end)
        }
