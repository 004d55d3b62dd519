"""Pushes without the keys that did not change, late and shuffled, on few records: the mirror ends equal.

An event of Change Data Capture has no image of the record, so the games are for the package's channels.
`RTS_THINNED_RUNS=100` plays so many games instead of one; each has another seed, which a failure names.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.inprocess.channels import connect, send_document, where_signed
from tests.support.inprocess.pushes import document, settle
from tests.support.inprocess.stand import Row, Stand, standing

RUNS = int(os.environ.get("RTS_THINNED_RUNS", "1"))
RECORDS = 40
EDITS = {"gateway": 770, "stream": 250}
FIELDS = ("Phone", "Title", "Department", "LastName", "Description")
STEPS_S = (0.0, 0.0, 0.001, 0.05, 0.4, 1.0, 1.7, 5.0)
"""Between two edits: of one instant, of one second, and of several."""


@dataclass(frozen=True)
class Sent:
    """A push and the place in the row of arrivals that it takes."""

    arrives: float
    body: bytes


def edit(org: Stand, dice: random.Random, records: list[str]) -> str:
    """Change some fields of a contact, and return its id."""
    record = dice.choice(records)
    values = {name: dice.choice(["a", "b", "č 🚀", None]) for name in dice.sample(FIELDS, dice.randint(1, 3))}
    values["LastName"] = values.get("LastName") or dice.choice("xyz")
    org.update("Contact", [record], **values)
    return record


def change(dice: random.Random, image: Row, stamp: str, changed: list[str]) -> Row:
    """Return a change with a record's image: whole, or without what did not change."""
    fields = dict(image)
    if dice.random() < 0.5:
        kept = {"Id", *changed}
        if dice.random() < 0.5:  # the change's own stamp tells it
            kept.discard("SystemModstamp")
        fields = {name: value for name, value in image.items() if name in kept}
    return {"object": "Contact", "op": "update", "id": image["Id"], "modstamp": stamp, "fields": fields}


def played(org: Stand, dice: random.Random) -> list[Sent]:
    """Edit, and return the pushes in the order of their arrival."""
    rows = {row["Id"]: row for row in org.org.snapshot("Contact")}
    waiting: list[tuple[str, list[str], str]] = []
    sent: list[Sent] = []
    for number in range(EDITS[org.channel]):
        org.advance(dice.choice(STEPS_S))
        record = edit(org, dice, sorted(rows))
        before, rows = rows, {row["Id"]: row for row in org.org.snapshot("Contact")}
        changed = [name for name, value in rows[record].items() if value != before[record][name]]
        waiting.append((record, changed, rows[record]["SystemModstamp"]))
        if dice.random() < 0.7:  # else the job reads later, and what it reads may be newer
            changes = [change(dice, rows[id_], stamp, names) for id_, names, stamp in waiting]
            waiting.clear()
            late = dice.choice([0.0, 0.0, 2.0, 15.0, 200.0])
            sent.append(Sent(number + late * dice.random(), document(org, changes)))
    if waiting:
        sent.append(
            Sent(
                EDITS[org.channel],
                document(org, [change(dice, rows[i], s, names) for i, names, s in waiting]),
            )
        )
    return sorted(sent, key=lambda item: item.arrives)


@where_signed
@pytest.mark.parametrize("seed", range(RUNS))
async def test_thinned_pushes_end_equal(seed: int, tmp_path: Path, channel: str) -> None:
    """Once everything has come and what it asked for is fetched, no proof is needed to make it equal."""
    dice = random.Random(seed)
    async with standing(tmp_path, {"Contact": RECORDS}, channel=channel) as org:
        await org.loaded()
        await connect(org, "Contact", mute=True)
        org.advance(60)
        pushes = played(org, dice)
        org.advance(1)
        async with org.taking():
            for number, item in enumerate(pushes):
                await send_document(org, item.body, f"msg_{seed}_{number}")
                if dice.random() < 0.1:
                    await settle(org)
        await settle(org)
        await settle(org)
        assert await org.equal("Contact") == RECORDS
