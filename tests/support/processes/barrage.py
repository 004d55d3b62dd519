"""Pushes without end, and the reckoning after a fault: which of those answered 200 are lost."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtsd.core.ids import full_id
from tests.support.processes.rig import PII, TOKEN, Rig
from tests.support.processes.sender import Shot, firing, signed

OBJECT = "Lead"
READ_AT = "2026-03-01T10:00:00.000Z"


@dataclass
class Barrage:
    """Each push brings one new record, which carries the push's number as its name."""

    rig: Rig
    template: dict[str, Any]
    """A record of the org, with every field."""
    answers: Counter[int] = field(default_factory=Counter)
    acked: set[str] = field(default_factory=set)
    shots: Iterator[Shot] = field(init=False)

    def __post_init__(self) -> None:
        self.shots = self._shots()

    @classmethod
    async def of(cls, rig: Rig) -> Barrage:
        """Make one that looks like the org's own records."""
        return cls(rig, await anext(rig.org.rows(OBJECT)))

    def _shots(self) -> Iterator[Shot]:
        for number in itertools.count():
            record_id = full_id(f"00Qfire{number:08d}")
            change = {
                "object": OBJECT,
                "op": "create",
                "id": record_id,
                "modstamp": self.template["SystemModstamp"],
                "fields": {**self.template, "Id": record_id, "LastName": f"{PII}-{number}"},
            }
            head = {"v": 1, "kind": "changes", "org": self.rig.org.info["org_id"], "read_at": READ_AT}
            yield signed(TOKEN, str(number), msgspec.json.encode({**head, "changes": [change]}))

    async def fire(
        self,
        then: Callable[[], None],
        *,
        when: Callable[..., bool],
        until: Callable[[], bool] = bool,
        count: int = 100_000,
    ) -> None:
        """Fire until the other side is gone, `until`, or `count` are sent; do `then` once `when` says so."""
        waiting = True

        def note(shot: Shot, status: int) -> None:
            nonlocal waiting
            self.answers[status] += 1
            if status == 200:
                self.acked.add(shot.id)
            if waiting and when():
                waiting = False
                then()

        shots = itertools.takewhile(lambda _: not until(), itertools.islice(self.shots, count))
        async with firing(self.rig.port, shots, note) as over:
            await over

    def lost(self) -> set[str]:
        """Return the pushes that were answered 200 and are not in the mirror, with their values."""
        names = {row["LastName"] for row in self.rig.read(f"SELECT LastName FROM {OBJECT}")}
        return {shot_id for shot_id in self.acked if f"{PII}-{shot_id}" not in names}

    def applied_twice(self) -> int:
        """Return how many pushes the journal tells of more than once; each brought a record of its own."""
        pushed = "SELECT id FROM _rts_journal WHERE type='change' AND source='push' AND id IS NOT NULL"
        return len(self.rig.read(f"{pushed} GROUP BY id HAVING COUNT(*) > 1"))
