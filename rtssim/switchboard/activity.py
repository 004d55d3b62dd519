"""Simulated users: random but repeatable creates, edits, imports, deletes and merges."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from rtssim.faults import COMMITS
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtssim.faults import Faults
    from rtssim.org import Org

SAMPLE = 2_000  # ids to work on per object
IMPORT_ROWS = 200  # a single trigger invocation
WORDS = (
    *(
        "Straße",
        "naïve",
        "Ångström",
        "Łódź",
        "Ελλάδα",
        "Москва",
        "東京",
        "서울",
        "ภาษาไทย",
        "العربية",
        "עברית",
    ),
    *("हिन्दी", "🚀", "👩‍👩‍👧‍👦", "O'Brien", "line\nbreak", "tab\tstop", '"quoted"', "back\\slash", "a,b;c"),
)
PEOPLE = (
    "Müller",
    "O'Neill",
    "山田",
    "Nguyễn",
    "Иванова",
    "حسن",
    "García",
    "de la Cruz",
    "Björk",
    "Kowalski",
)
ACTIONS = ("update", "create", "delete", "undelete", "import", "merge")
WEIGHTS = (70, 18, 6, 2, 2, 2)


def _text(rng: random.Random, words: int = 3) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def _person(rng: random.Random) -> dict[str, Any]:
    last = rng.choice(PEOPLE)
    return {
        "LastName": last,
        "FirstName": rng.choice(("Ada", "José", "明", "Zoë", "Omar", None)),
        "Email": f"user{rng.randrange(10**6)}@example.com",
        "Phone": f"+1 555 {rng.randrange(10**7):07d}",
        "Title": _text(rng, 2),
    }


CREATED: dict[str, Any] = {
    "Account": lambda rng: {
        "Name": f"{_text(rng, 2)} GmbH",
        "Phone": "+49 30 1",
        "Description": _text(rng, 30),
    },
    "Contact": _person,
    "Lead": lambda rng: {**_person(rng), "Company": f"{_text(rng, 1)} Ltd", "Status": "Open - Not Contacted"},
    "Opportunity": lambda rng: {
        "Name": _text(rng),
        "StageName": "Prospecting",
        "CloseDate": f"2027-{rng.randrange(1, 13):02d}-15",
        "Amount": round(rng.uniform(1, 1e6), 2),
    },
    "Task": lambda rng: {"Subject": _text(rng), "Description": _text(rng, 60)},
    "Campaign": lambda rng: {"Name": _text(rng)},
    "Invoice__c": lambda rng: {"Name": _text(rng, 1), "Total__c": round(rng.uniform(1, 9_999), 2)},
}
EDITED: dict[str, Any] = {
    "Account": lambda rng: {"Description": _text(rng, 20), "Phone": f"+49 30 {rng.randrange(10**6)}"},
    "Contact": lambda rng: {"Title": _text(rng, 2), "Email": f"new{rng.randrange(10**6)}@example.com"},
    "Lead": lambda rng: {"Title": _text(rng, 2), "Phone": f"+81 {rng.randrange(10**6)}"},
    "Opportunity": lambda rng: {"Amount": round(rng.uniform(1, 1e6), 2), "NextStep": _text(rng)},
    "Task": lambda rng: {"Subject": _text(rng), "Description": _text(rng, 40)},
    "Campaign": lambda rng: {"Name": _text(rng)},
    "Invoice__c": lambda rng: {"Total__c": round(rng.uniform(1, 9_999), 2), "Memo__c": _text(rng, 50)},
}
MERGED = ("Account", "Contact", "Lead")


class Activity:
    """Makes `rate` commits per second until `stop`; `done` counts the commits by action."""

    def __init__(
        self,
        org: Org,
        faults: Faults,
        *,
        rate: float = 2.0,
        seed: int = 1,
        objects: Sequence[str] | None = None,
    ) -> None:
        self._org = org
        self._faults = faults
        self._who = org.admin
        self._rng = random.Random(seed)
        self._rate = rate
        known = {entry["name"] for entry in org.describe_global(self._who)}
        self._objects = [name for name in (objects or CREATED) if name in known and name in CREATED]
        if not self._objects:
            raise ValueError(f"no object to work on; known: {', '.join(CREATED)}")
        self._ids: dict[str, list[str]] = {}
        self._deleted: dict[str, list[str]] = {name: [] for name in self._objects}
        self.done: Counter[str] = Counter()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop after the current commit."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(self._rate))
            self.step()

    def step(self) -> None:
        """Make a commit."""
        name = self._rng.choice(self._objects)
        action = self._rng.choices(ACTIONS, WEIGHTS)[0]
        late = self._faults.hit(COMMITS, name)
        try:
            with self._org.transaction(
                self._who, commit_after=late.random_up_to("seconds", 300.0) if late else 0.0
            ):
                self._act(name, action)
        except OrgError as error:  # expected: others may have changed or deleted the row
            self.done[f"refused {error.code}"] += 1
        else:
            self.done[action] += 1

    def _act(self, name: str, action: str) -> None:
        ids = self._known_ids(name)
        if action in ("create", "import") or len(ids) < 10:
            rows = [CREATED[name](self._rng) for _ in range(IMPORT_ROWS if action == "import" else 1)]
            ids += [result.unwrap() for result in self._org.create(self._who, name, rows)]
        elif action == "delete":
            deleted = ids.pop(self._rng.randrange(len(ids)))
            self._org.delete(self._who, name, [deleted])
            self._deleted[name].append(deleted)
        elif action == "undelete" and self._deleted[name]:
            restored = self._deleted[name].pop()
            self._org.undelete(self._who, name, [restored])[0].unwrap()
            ids.append(restored)
        elif action == "merge" and name in MERGED:
            master, loser = self._rng.sample(ids, 2)
            ids.remove(loser)
            self._org.merge(self._who, name, master, [loser])
        else:
            chosen = self._rng.sample(ids, min(len(ids), self._rng.choice((1, 1, 1, 2, 5))))
            self._org.update(self._who, name, [{**EDITED[name](self._rng), "Id": i} for i in chosen])

    def _known_ids(self, name: str) -> list[str]:
        known = self._ids.get(name)
        if known is None:
            rows = self._org.query(self._who, f"SELECT Id FROM {name} LIMIT {SAMPLE}").rows()
            known = self._ids[name] = [row[0] for row in rows]
        return known
