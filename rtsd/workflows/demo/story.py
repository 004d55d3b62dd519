"""The demo's story: what happens in the org while somebody watches, a line for each step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from rtsd.control.client import ControlClient
from rtsd.core.plural import plural
from rtsd.workflows.demo import activity
from rtsd.workflows.demo.environment import Environment, push_unmirrored

STEP_S = 10.0
"""Seconds in which a line is read and its effect is seen."""
LOST_S = 18
"""Seconds for which pushes are lost: longer than `silence_after`, so that Interval Sync reads."""


class Narrator:
    """Writes the line that the dashboard shows to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def tell(self, line: str) -> None:
        """Replace the line."""
        beside = self._file.with_name(f".{self._file.name}.new")
        beside.write_text(line)
        beside.replace(self._file)


async def play(demo: Environment, records: Mapping[str, int], rate: float, narrator: Narrator) -> None:
    """Play the steps, again and again, from the moment everything is loaded."""
    async with activity.edits(demo, records, rate):
        await _stray(demo, narrator)
        while True:
            await _round(demo, records, narrator)


async def _round(demo: Environment, records: Mapping[str, int], narrator: Narrator) -> None:
    narrator.tell("People edit the org. Each change is here within a second or two: see the events.")
    await asyncio.sleep(STEP_S)
    if name := await activity.import_people(demo, records):
        narrator.tell(
            f"{plural(activity.IMPORT, 'record')} of {name} were imported at once. That is one push."
        )
        await asyncio.sleep(STEP_S)
    narrator.tell("A rule runs a command for each new Lead, within a second. 9 shows what it did.")
    await asyncio.sleep(STEP_S)
    narrator.tell(f"In a second terminal: rtsd status --socket {demo.socket}")
    await asyncio.sleep(STEP_S)
    async with activity.lost_pushes(demo):
        narrator.tell(f"The org now loses every push for {LOST_S} s. Watch fresh; an alert is sent, too.")
        await asyncio.sleep(LOST_S)
    narrator.tell("Pushes arrive again. Interval Sync has read what was lost; 7 lists it.")
    await asyncio.sleep(STEP_S)
    await _drift(demo, records, narrator)


async def _drift(demo: Environment, records: Mapping[str, int], narrator: Narrator) -> None:
    """Change records behind rtsd's back, and have it find them."""
    name, changed = await activity.change_untriggered(demo, records)
    if not name:
        return
    narrator.tell(
        f"A mass edit changed {plural(changed, 'record')} of {name} without any Apex trigger: no push comes."
    )
    await asyncio.sleep(STEP_S)
    narrator.tell(f"rtsd now audits {name}: it compares counts by date, and reads only what differs.")
    async with ControlClient(demo.socket) as client:
        found = await client.audit(name)
    repaired, calls = sum(each.repaired for each in found.objects), plural(found.api_calls, "API call")
    narrator.tell(f"The audit found and repaired {plural(repaired, 'record')} of {name} with {calls}.")
    await asyncio.sleep(STEP_S)


async def _stray(demo: Environment, narrator: Narrator) -> None:
    """Push a change of an object that is not mirrored."""
    status = await demo.status()
    if not (status.gateway.listen and status.org.id):
        return
    await push_unmirrored(status.gateway.listen, status.org.id, demo.token)
    narrator.tell("A push named an object that is not mirrored: a dead letter. 4 lists it; R retries it.")
    await asyncio.sleep(STEP_S)
